// Command peer is an admission webhook for Callboard's kinds as it would be written in Go: on the server
// of controller-runtime, with its typed defaulters and validators. The benchmark measures
// callboard-webhook against it.
//
// It sets the same defaults and annotations as callboard-webhook. In /validate-… it requires what is
// required, checks the graph, and decodes the Jobs of the steps to look at their containers, as the
// project does whose API the flows have. Callboard checks much more, such as formats, conditions and
// placeholders, and all of it in /mutate too; leaving that out makes the peer faster, never slower. All
// settings are those of Go and controller-runtime.
//
//	peer -cert-dir DIR
//
// When it is ready it prints a line {"port": N} to standard error.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"callboard.dev/bench/peer/api"
)

// freePort is a port that nobody listens on: the server takes 0 for its default.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// announce prints the port once the server answers.
func announce(server webhook.Server, port int) {
	for server.StartedChecker()(nil) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "{\"port\": %d}\n", port)
}

func run(certDir string) error {
	scheme := runtime.NewScheme()
	api.AddToScheme(scheme)
	port, err := freePort()
	if err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: certDir})
	server.Register("/mutate-performer", admission.WithDefaulter(scheme, performerDefaulter{}))
	server.Register("/validate-performer", admission.WithValidator(scheme, performerValidator{}))
	server.Register("/mutate-jobflow", admission.WithDefaulter(scheme, jobFlowDefaulter{}))
	server.Register("/validate-jobflow", admission.WithValidator(scheme, jobFlowValidator{}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go announce(server, port)
	return server.Start(ctx)
}

func main() {
	certDir := flag.String("cert-dir", "", "folder with tls.crt and tls.key")
	flag.Parse()
	ctrllog.SetLogger(klog.Background())
	if err := run(*certDir); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
