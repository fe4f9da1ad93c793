// Command compare measures two admission webhooks side by side: callboard-webhook and the peer in Go.
//
//	compare -callboard PROGRAM -peer PROGRAM [-out FILE] [-only PAYLOAD] [-requests N] [-rounds N] [-seconds N]
//
// First it proves that both give the right answers, the same objects among them. Then they are loaded in
// turns, A B, B A, A B…, one at a time, so that whatever else the machine does hits both alike; each
// figure is the median of its rounds, and a ratio is the median of the rounds' ratios. At the end
// callboard-webhook alone gets as many requests as -requests says, and its memory is looked at ten times
// on the way.
//
// It prints one line per figure, "name value unit". No figure makes it fail; a wrong answer does.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"callboard.dev/bench/program"
)

// options are the flags.
type options struct {
	callboard   string
	peer        string
	out         string
	only        string
	requests    int
	rounds      int
	seconds     float64
	connections int
}

// run measures, with a folder for certificates.
func run(ctx context.Context, o options, folder string) (*report, error) {
	roots, err := program.MakeCertificate(folder)
	if err != nil {
		return nil, err
	}
	callboard, err := program.Start(ctx, "callboard", roots, o.callboard, "serve", "--listen=127.0.0.1:0",
		"--health-listen=127.0.0.1:0", "--cert-dir="+folder)
	if err != nil {
		return nil, err
	}
	defer callboard.Stop()
	peer, err := program.Start(ctx, "peer", roots, o.peer, "-cert-dir="+folder)
	if err != nil {
		return nil, err
	}
	defer peer.Stop()
	if err := checkAnswers(callboard, peer); err != nil {
		return nil, err
	}
	b := &benchmark{options: o, servers: [2]*program.Server{callboard, peer}, report: newReport(o)}
	if err := b.compare(ctx); err != nil {
		return nil, err
	}
	return b.report, b.soak(ctx)
}

func main() {
	var o options
	flag.StringVar(&o.callboard, "callboard", "", "callboard-webhook")
	flag.StringVar(&o.peer, "peer", "", "the peer")
	flag.StringVar(&o.out, "out", "", "file for the figures as JSON")
	flag.StringVar(&o.only, "only", "", "one payload only: flow, performer or flow-1000")
	flag.IntVar(&o.requests, "requests", 1000000, "requests of the last part, and at most in a round")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each payload")
	flag.Float64Var(&o.seconds, "seconds", 3, "how long a round takes at most")
	flag.IntVar(&o.connections, "connections", 16, "connections, each with one request at a time")
	flag.Parse()
	if o.requests < 1 || o.rounds < 1 || o.seconds <= 0 || o.connections < 1 {
		fmt.Fprintln(os.Stderr, "compare: all numbers must be positive")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	folder, err := os.MkdirTemp("", "callboard-bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	began := time.Now()
	result, err := run(ctx, o, folder)
	_ = os.RemoveAll(folder)
	if err == nil && o.out != "" {
		err = os.MkdirAll(filepath.Dir(o.out), 0o755)
	}
	if err == nil && o.out != "" {
		err = result.write(o.out, time.Since(began))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}
