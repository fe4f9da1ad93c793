// Command ask measures callboard-extender beside an API server that has only what it reads: nodes, their
// heartbeats and pods, which are made up, and which come and go while kube-scheduler's requests are answered.
//
//	ask -extender PROGRAM [-out FILE] [-requests N] [-sizes NODES/PODS,…] [-plain]
//
// For each size: the time from the start until it is ready; the latency of filter, pick and prioritize with the names
// of all nodes, over TLS or in plain HTTP, one request after the other as kube-scheduler sends them; its processor
// time; the memory that it holds. Where there are 1,000 nodes, the same with whole nodes, which are 26 MB.
//
// It prints one line per figure, "name value unit". No figure makes it fail; a wrong answer does.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"callboard.dev/bench/program"
)

// figure is one line.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

type benchmark struct {
	extender string
	requests int
	plain    bool
	folder   string
	figures  []figure
}

func (b *benchmark) add(name string, value float64, unit string) {
	b.figures = append(b.figures, figure{name, value, unit})
	fmt.Printf("%s %.4g %s\n", name, value, unit)
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "%s"}}]
users: [{name: bench, user: {token: none}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
current-context: bench
`

// start runs the extender on the cluster and waits until it is ready.
func (b *benchmark) start(ctx context.Context, c *cluster) (*program.Server, error) {
	roots, err := program.MakeCertificate(b.folder)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.folder, "kubeconfig")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(kubeconfig, c.url)), 0o600); err != nil {
		return nil, err
	}
	arguments := []string{"serve", "--kubeconfig=" + file, "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"}
	if !b.plain {
		arguments = append(arguments, "--cert-dir="+b.folder)
	}
	s, err := program.Start(ctx, "callboard-extender", roots, b.extender, arguments...)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get(s.Health + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.Stop()
			return nil, fmt.Errorf("the extender did not become ready: %v", err)
		}
	}
}

// measure is all about one size.
func (b *benchmark) measure(ctx context.Context, nodes, pods int) error {
	name := fmt.Sprintf("%d_nodes_%d_pods_", nodes, pods)
	if b.plain {
		name += "plain_"
	}
	c, err := newCluster(nodes, pods)
	if err != nil {
		return err
	}
	defer c.close()
	began := time.Now()
	s, err := b.start(ctx, c)
	if err != nil {
		return err
	}
	defer s.Stop()
	// A new holder of the Lease waits for the bindings of the one before as long as one may take.
	b.add(name+"ready", time.Since(began).Seconds()-settle.Seconds(), "s_after_5_s_of_waiting")
	cpu, err := s.CPU()
	if err != nil {
		return err
	}
	b.add(name+"ready_cpu", cpu.Seconds(), "s")
	if err := b.addMemory(s, name+"ready_anon"); err != nil {
		return err
	}
	return b.load(ctx, s, c, name)
}

// settle is the extender's --bind-timeout.
const settle = 5 * time.Second

func (b *benchmark) addMemory(s *program.Server, name string) error {
	bytes, err := s.Anonymous()
	b.add(name, float64(bytes)/(1<<20), "MiB")
	return err
}

func (b *benchmark) load(ctx context.Context, s *program.Server, c *cluster, name string) error {
	c.begin()
	for _, verb := range []string{"filter", "pick", "prioritize"} {
		for i, asked := range questions(c, true) {
			kind := name + verb + "_" + []string{"share", "whole", "plugin", "cpu"}[i]
			if err := b.ask(ctx, s, kind, verb, asked, b.requests); err != nil {
				return err
			}
		}
	}
	if len(c.names) == 1000 {
		for _, verb := range []string{"filter", "prioritize"} {
			if err := b.ask(ctx, s, name+verb+"_full", verb, questions(c, false)[0], 20); err != nil {
				return err
			}
		}
	}
	return b.addMemory(s, name+"loaded_anon")
}

func (b *benchmark) run(ctx context.Context, sizes string) error {
	for size := range strings.SplitSeq(sizes, ",") {
		var nodes, pods int
		if _, err := fmt.Sscanf(size, "%d/%d", &nodes, &pods); err != nil || nodes < 1 || pods < 0 {
			return fmt.Errorf("no size such as 5000/50000: %q", size)
		}
		if err := b.measure(ctx, nodes, pods); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	var b benchmark
	var out, sizes string
	flag.StringVar(&b.extender, "extender", "", "callboard-extender")
	flag.StringVar(&out, "out", "", "file for the figures as JSON")
	flag.IntVar(&b.requests, "requests", 1000, "requests of each kind")
	flag.BoolVar(&b.plain, "plain", false, "plain HTTP in place of TLS")
	flag.StringVar(&sizes, "sizes", "1000/50000,5000/50000,5000/100000", "NODES/PODS of the clusters")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var err error
	if b.folder, err = os.MkdirTemp("", "callboard-bench-"); err == nil {
		defer os.RemoveAll(b.folder)
		err = b.run(ctx, sizes)
	}
	if err == nil && out != "" {
		var text []byte
		if text, err = json.MarshalIndent(b.figures, "", "  "); err == nil {
			err = os.WriteFile(out, append(text, '\n'), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		stop()
		os.RemoveAll(b.folder)
		os.Exit(1)
	}
}
