package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"callboard.dev/bench/program"
)

// outcome is what a load has shown.
type outcome struct {
	count     int
	took      time.Duration
	cpu       time.Duration
	latencies []time.Duration // sorted
	peak      int64           // RssAnon, bytes
}

func (o *outcome) percentile(share float64) time.Duration {
	return o.latencies[int(share*float64(len(o.latencies)-1))]
}

// load is many requests on connections that stay open. Every connection sends its next request when the
// answer to the one before is there, and none is cut off at the end, so that the time which the server
// spent belongs to the requests that are counted.
type load struct {
	server   *program.Server
	requests func(n int) []byte // the n-th one
	limit    int
	deadline time.Duration // no request begins after it; 0: none
	begun    func(n int)   // called before some requests; may be nil

	next atomic.Int64
}

// client is one connection.
type client struct {
	connection *tls.Conn
	reader     *bufio.Reader
	answer     bytes.Buffer
	latencies  []time.Duration
}

func (c *client) exchange(request []byte) error {
	began := time.Now()
	if _, err := c.connection.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	c.answer.Reset()
	if _, err := c.answer.ReadFrom(answer.Body); err != nil {
		return err
	}
	c.latencies = append(c.latencies, time.Since(began))
	if answer.StatusCode != http.StatusOK || !isAllowed(c.answer.Bytes()) {
		return fmt.Errorf("status %d: %.300s", answer.StatusCode, c.answer.Bytes())
	}
	return nil
}

// send is what one connection does.
func (l *load) send(ctx context.Context, c *client) error {
	for ctx.Err() == nil {
		n := int(l.next.Add(1)) - 1
		if n >= l.limit {
			return nil
		}
		if l.begun != nil {
			l.begun(n)
		}
		if err := c.exchange(l.requests(n)); err != nil {
			return fmt.Errorf("%s, request %d: %w", l.server.Name, n, err)
		}
	}
	return nil
}

func (l *load) connect(connections int) ([]*client, error) {
	clients := make([]*client, connections)
	for i := range clients {
		connection, err := l.server.Dial()
		if err != nil {
			return nil, err
		}
		clients[i] = &client{connection: connection, reader: bufio.NewReaderSize(connection, 16<<10)}
	}
	return clients, nil
}

// watch notes the most memory that the server holds until the context ends.
func (l *load) watch(ctx context.Context, peak *int64, done *sync.WaitGroup) {
	defer done.Done()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := l.server.Anonymous(); err == nil {
			*peak = max(*peak, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// run applies the load.
func (l *load) run(parent context.Context, connections int) (*outcome, error) {
	clients, err := l.connect(connections)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	if l.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, l.deadline)
		defer cancel()
	}
	result := &outcome{}
	watching, unwatch := context.WithCancel(parent)
	defer unwatch()
	var watcher, all sync.WaitGroup
	watcher.Add(1)
	go l.watch(watching, &result.peak, &watcher)

	before, err := l.server.CPU()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	errs := make([]error, len(clients))
	for i, c := range clients {
		all.Go(func() {
			if errs[i] = l.send(ctx, c); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	result.took = time.Since(began)
	after, err := l.server.CPU()
	result.cpu = after - before
	unwatch()
	watcher.Wait()
	for i, c := range clients {
		_ = c.connection.Close()
		result.latencies = append(result.latencies, c.latencies...)
		if errs[i] != nil {
			return nil, errs[i]
		}
	}
	result.count = len(result.latencies)
	slices.Sort(result.latencies)
	if parent.Err() != nil {
		return nil, parent.Err()
	}
	return result, err
}
