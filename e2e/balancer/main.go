// Command balancer stands in for a Service during a rolling update: one address that stays, and
// connections that go to whichever backend a file names. Like kube-proxy it knows connections only, not
// requests, and like kube-proxy it hears of a change late: new connections go to the old backend for
// another while, and those that are open stay where they are.
//
//	balancer -backend FILE [-lag 1s]
//	balancer -backend FILE -all
//
// The first line of FILE is the backend's port on 127.0.0.1; with -all each line is one, and connections go to
// them in turn. The own address is printed once.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// backend is the address that new connections go to.
type backend struct {
	file    string
	lag     time.Duration
	mutex   sync.Mutex
	current string
	next    string
	since   time.Time // when next was first seen
}

func (b *backend) read() string {
	text, err := os.ReadFile(b.file)
	if err != nil {
		return ""
	}
	port, _, _ := strings.Cut(string(text), "\n")
	if port == "" {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func (b *backend) watch() {
	for range time.Tick(20 * time.Millisecond) {
		found := b.read()
		b.mutex.Lock()
		if found != "" && found != b.next {
			b.next, b.since = found, time.Now()
		}
		if b.next != b.current && time.Since(b.since) > b.lag {
			b.current = b.next
		}
		b.mutex.Unlock()
	}
}

// inTurn gives the backends of the file one after the other.
func inTurn(file string) (func() string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	ports := strings.Fields(string(text))
	if len(ports) == 0 {
		return nil, fmt.Errorf("no port in %s", file)
	}
	next := 0
	return func() string {
		next = (next + 1) % len(ports)
		return net.JoinHostPort("127.0.0.1", ports[next])
	}, nil
}

// follow gives the one that the file names.
func (b *backend) follow() (func() string, error) {
	b.current = b.read()
	b.next = b.current
	if b.current == "" {
		return nil, fmt.Errorf("no port in %s", b.file)
	}
	go b.watch()
	return b.address, nil
}

func (b *backend) address() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.current
}

// forward passes bytes on until one side ends, and then that end as well.
func forward(to, from *net.TCPConn, done *sync.WaitGroup) {
	defer done.Done()
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}

func serve(client *net.TCPConn, address string) {
	defer client.Close()
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Add(2)
	go forward(server, client, &both)
	go forward(client, server, &both)
	both.Wait()
}

func main() {
	b := &backend{}
	flag.StringVar(&b.file, "backend", "", "file whose first line is the backend's port")
	flag.DurationVar(&b.lag, "lag", time.Second, "how late a change is heard of")
	all := flag.Bool("all", false, "each line of the file is a backend")
	flag.Parse()
	choose := b.follow
	if *all {
		choose = func() (func() string, error) { return inTurn(b.file) }
	}
	address, err := choose()
	if err != nil {
		fmt.Fprintln(os.Stderr, "balancer:", err)
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "balancer:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "balancer:", err)
			os.Exit(1)
		}
		go serve(client.(*net.TCPConn), address())
	}
}
