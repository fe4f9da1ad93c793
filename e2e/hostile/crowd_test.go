package hostile

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// others are well-behaved clients, who open a connection for every fifth of their requests.
type others struct {
	stop     chan struct{}
	done     sync.WaitGroup
	mutex    sync.Mutex
	times    []time.Duration
	failures []string
}

// serveOthers runs them until their result is asked for.
func serveOthers(clients int) *others {
	o := &others{stop: make(chan struct{})}
	for range clients {
		o.done.Go(func() {
			for {
				select {
				case <-o.stop:
					return
				default:
					o.visit()
				}
			}
		})
	}
	return o
}

func (o *others) visit() {
	began := time.Now()
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", server.address, trust)
	if err != nil {
		o.add(time.Since(began), err.Error())
		return
	}
	defer connection.Close()
	c := newClient(connection)
	for range 5 {
		failure := ""
		a, err := c.ask(review())
		if err != nil {
			failure = err.Error()
		} else if a.code != http.StatusOK || !a.allowed {
			failure = a.String()
		}
		o.add(time.Since(began), failure)
		if failure != "" {
			return
		}
		began = time.Now()
		time.Sleep(5 * time.Millisecond)
	}
}

func (o *others) add(took time.Duration, failure string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.times = append(o.times, took)
	if failure != "" {
		o.failures = append(o.failures, failure)
	}
}

// end reports how they were served, and wants that all of at least so many were.
func (o *others) end(t *testing.T, least int) {
	t.Helper()
	close(o.stop)
	o.done.Wait()
	slices.Sort(o.times)
	served := len(o.times) - len(o.failures)
	measured(t, "others: %d of %d served, 99%% within %d ms, slowest %d ms", served, len(o.times),
		o.times[len(o.times)*99/100].Milliseconds(), o.times[len(o.times)-1].Milliseconds())
	if len(o.failures) > 0 {
		t.Errorf("others were not served: %d failures, the first: %s", len(o.failures), o.failures[0])
	}
	if served < least {
		t.Errorf("only %d requests of others were served", served)
	}
}

func TestOthersAreServedBesideThreeHundredSlowClients(t *testing.T) {
	survive(t)
	const slow = 300
	var sent atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	for i := range slow {
		connection := dial(t)
		switch i % 3 {
		case 0: // the body
			fmt.Fprint(connection, "POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 1000000\r\n\r\n")
		case 1: // the headers
			fmt.Fprint(connection, "POST /mutate HTTP/1.1\r\nHost: webhook\r\n")
		}
		all.Go(func() {
			defer connection.Close()
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
				if _, err := connection.Write([]byte{'X'}); err != nil {
					return
				}
				sent.Add(1)
			}
		})
	}
	o := serveOthers(4)
	time.Sleep(requestTimeout)
	o.end(t, 200)
	close(stop)
	all.Wait()
	measured(t, "%d slow clients sent %d bytes meanwhile", slow, sent.Load())
}

func TestOthersAreServedWhileTwoThousandConnectionsAreOpened(t *testing.T) {
	survive(t)
	const crowd = 2000
	o := serveOthers(2)
	var connections []net.Conn
	opened := 0
	for i := range crowd {
		connection, err := net.DialTimeout("tcp", server.address, 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		// A handshake on most: those hold memory.
		if i%4 != 0 {
			secure := tls.Client(connection, trust)
			_ = secure.SetDeadline(time.Now().Add(10 * time.Second))
			if secure.Handshake() == nil {
				opened++
			}
		}
		connections = append(connections, connection)
	}
	o.end(t, 200)
	measured(t, "%d connections, %d with a handshake", crowd, opened)
	for _, connection := range connections {
		connection.Close()
	}
}

func TestConnectionsAtTheLimitKeepWithinTheirMemory(t *testing.T) {
	survive(t)
	settle(t)
	before := server.status("RssAnon")
	var connections []net.Conn
	for range maxConnection * 15 / 16 {
		connection := dial(t)
		c := newClient(connection)
		if a, err := c.ask(review()); err != nil || !a.allowed {
			t.Fatal(a, err)
		}
		connections = append(connections, connection)
	}
	each := (server.status("RssAnon") - before) / int64(len(connections))
	measured(t, "%d connections that were used: %.1f KiB each", len(connections), float64(each)/1024)
	if each > connectionMemory {
		t.Errorf("a connection takes %d bytes", each)
	}
	for _, connection := range connections {
		connection.Close()
	}
}

func TestManyLargeBodiesAtOnceKeepWithinTheBudget(t *testing.T) {
	survive(t)
	settle(t)
	const clients, rounds = 32, 3
	body := withSpec(`"config":{"args":[` + repeat("0", 3<<20) + `]}`)
	var mutex sync.Mutex
	counts := map[int]int{}
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range rounds {
				a := send(t, post("/mutate", body))
				mutex.Lock()
				counts[a.code]++
				mutex.Unlock()
			}
		})
	}
	all.Wait()
	measured(t, "%d bodies of %.1f MiB, %d at once, by status: %v", clients*rounds, float64(len(body))/(1<<20), clients, counts)
	for code, n := range counts {
		switch code {
		case http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable: // too large, or too many at once
		case http.StatusRequestTimeout, 0: // the machine was too slow, which is the client's loss
		default:
			t.Errorf("%d answers of status %d", n, code)
		}
	}
	if counts[http.StatusServiceUnavailable] == 0 {
		t.Error("the budget was never reached")
	}
	expectPeak(t, memoryBudget+settled+clients*connectionMemory)
}

func TestSlowClientsOfTheHealthPortDoNotHideTheProcess(t *testing.T) {
	survive(t)
	for range 200 {
		connection, err := net.DialTimeout("tcp", server.health, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		fmt.Fprint(connection, "GET /healthz HTTP/1.1\r\nHost: webhook\r\n")
	}
	var slowest time.Duration
	for range 20 {
		began := time.Now()
		if code, err := server.get("/healthz"); code != http.StatusOK {
			t.Fatalf("%d, %v", code, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	measured(t, "slowest /healthz %d ms", slowest.Milliseconds())
}
