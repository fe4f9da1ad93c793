// Package kubeconfig tells the programs of the tests and benchmarks how to reach the apiserver.
package kubeconfig

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// file is what `kubectl config view --raw --minify --flatten -o json` prints.
type file struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
			Token       string `json:"token"`
		} `json:"user"`
	} `json:"users"`
}

// Access is an apiserver and who we are there.
type Access struct {
	Server    string
	Transport *http.Transport // HTTP/2, with the certificates
	token     string
}

// Read reads the one cluster and the one user of a file that kubectl has printed as JSON.
func Read(path string) (*Access, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config file
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("%s: want one cluster and one user", path)
	}
	cluster, user := config.Clusters[0].Cluster, config.Users[0].User
	trust := &tls.Config{RootCAs: x509.NewCertPool()}
	trust.RootCAs.AppendCertsFromPEM(cluster.CA)
	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}
	return &Access{cluster.Server, transport, user.Token}, nil
}

// Authorize adds the user's token to the request, if there is one.
func (a *Access) Authorize(request *http.Request) {
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
}
