// Command handshakes looks at webhooks as kube-apiservers do that hear of a changed caBundle late. It
// connects to each address again and again, always anew, and verifies what it is shown against every
// caBundle that the two configurations "callboard" have had within the last -lag: an apiserver may hold any
// of these. A handshake counts only when they were read within that time. It ends at SIGTERM and prints a
// summary as JSON.
//
//	handshakes -kubeconfig FILE [-lag 1s] ADDRESS...
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"callboard.dev/e2e/kubeconfig"
)

const (
	api      = "/apis/admissionregistration.k8s.io/v1/"
	rhythm   = 50 * time.Millisecond
	patience = 30 * time.Second
)

// bundle is a caBundle with the time in which it was seen.
type bundle struct {
	text        string
	pool        *x509.CertPool
	first, last time.Time
}

// history is what one configuration has had, the newest last.
type history struct {
	mutex   sync.Mutex
	bundles []*bundle
}

func (h *history) add(text string, begun, now time.Time) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if n := len(h.bundles); n > 0 && h.bundles[n-1].text == text {
		h.bundles[n-1].last = begun
		return
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(text))
	h.bundles = append(h.bundles, &bundle{text, pool, now, begun})
}

// since lists those that were seen after this time; none when nothing has been read since, which on a machine
// that stalls tells nothing about the caBundle of now.
func (h *history) since(when time.Time) []*x509.CertPool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var found []*x509.CertPool
	for _, b := range h.bundles {
		if b.last.After(when) {
			found = append(found, b.pool)
		}
	}
	return found
}

// configuration is the part of a webhook configuration that matters here.
type configuration struct {
	Webhooks []struct {
		ClientConfig struct {
			CABundle []byte `json:"caBundle"`
		} `json:"clientConfig"`
	} `json:"webhooks"`
}

type reader struct {
	client *http.Client
	access *kubeconfig.Access
}

func (r *reader) read(resource string) (string, error) {
	request, err := http.NewRequest("GET", r.access.Server+api+resource+"/callboard", nil)
	if err != nil {
		return "", err
	}
	r.access.Authorize(request)
	response, err := r.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var found configuration
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK || len(found.Webhooks) == 0 {
		return "", fmt.Errorf("%s: status %d, %d webhooks", resource, response.StatusCode, len(found.Webhooks))
	}
	return string(found.Webhooks[0].ClientConfig.CABundle), nil
}

// summary is what is printed at the end.
type summary struct {
	mutex         sync.Mutex
	Handshakes    int            `json:"handshakes"`
	Failures      int            `json:"failures"`
	FirstFailures []string       `json:"firstFailures"`
	Certificates  map[string]int `json:"certificates"` // handshakes by serial number
	Authorities   map[string]int `json:"authorities"`  // by the issuer's name
}

func (s *summary) fail(address string, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.Failures++
	if len(s.FirstFailures) < 5 {
		s.FirstFailures = append(s.FirstFailures,
			fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), address, err))
	}
}

func (s *summary) count(leaf *x509.Certificate) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.Handshakes++
	s.Certificates[leaf.SerialNumber.Text(16)]++
	s.Authorities[leaf.Issuer.CommonName]++
}

// shown connects and returns what the webhook shows, unverified.
func shown(address string) ([]*x509.Certificate, error) {
	dialer := &net.Dialer{Timeout: patience}
	// Verified below, against several bundles.
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates, nil
}

func (s *summary) look(address string, histories []*history, lag time.Duration) {
	begun := time.Now()
	chain, err := shown(address)
	if err != nil {
		s.fail(address, err)
		return
	}
	host, _, _ := net.SplitHostPort(address)
	for _, h := range histories {
		pools := h.since(begun.Add(-lag))
		if len(pools) == 0 {
			return
		}
		for _, pool := range pools {
			if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
				s.fail(address, err)
				return
			}
		}
	}
	s.count(chain[0])
}

func run(file string, lag time.Duration, addresses []string) error {
	access, err := kubeconfig.Read(file)
	if err != nil {
		return err
	}
	r := &reader{&http.Client{Transport: access.Transport, Timeout: patience}, access}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	resources := []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
	histories := []*history{{}, {}}
	s := &summary{Certificates: map[string]int{}, Authorities: map[string]int{}}
	var all sync.WaitGroup
	for begun := time.Now(); ctx.Err() == nil; begun = time.Now() {
		for i, resource := range resources {
			text, err := r.read(resource)
			if err != nil {
				return err
			}
			histories[i].add(text, begun, time.Now())
		}
		for _, address := range addresses {
			all.Go(func() { s.look(address, histories, lag) })
		}
		time.Sleep(rhythm)
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(s)
}

func main() {
	file := flag.String("kubeconfig", "", "file with the JSON of kubectl config view --raw --minify --flatten")
	lag := flag.Duration("lag", time.Second, "how late a changed caBundle is heard of")
	flag.Parse()
	if err := run(*file, *lag, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "handshakes:", err)
		os.Exit(2)
	}
}
