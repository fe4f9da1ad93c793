// Command performer is the least that a Performer's container may be: a gRPC server that answers the
// standard health check, and at SIGTERM tells its clients to go elsewhere and finishes their calls. It is
// also such a client:
//
//	performer serve [-port N] [-fail STATUS] [-abrupt]
//	    -fail: it ends at once, with that status; -abrupt: SIGTERM ends it without a word to its clients
//	performer call [-rate N] [-for TIME] ADDRESS
//	    calls until SIGTERM, or for that time, and prints what became of it as JSON
//
// The client calls over one connection that it keeps until it breaks, and over a new one for each call, that
// many times a second each. It tries nothing twice. At SIGTERM it goes on until a call of each kind succeeds,
// for some time: a connection that broke is only tried again after a backoff.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	port := flags.Int("port", 9090, "where to listen")
	fail := flags.Int("fail", 0, "the status to end with at once; 0: serve")
	abrupt := flags.Bool("abrupt", false, "at SIGTERM close what is open, without GOAWAY")
	flags.Parse(arguments)
	if *fail != 0 {
		os.Exit(*fail)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", *port))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		if *abrupt {
			os.Exit(0)
		}
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

// How many failures are told in words.
const told = 20

// tally is what became of the calls of one kind.
type tally struct {
	mutex    sync.Mutex
	Calls    int      `json:"calls"`
	Failed   int      `json:"failed"`
	Failures []string `json:"failures"`
	// The longest time between two calls that succeeded, and whether the last one did.
	GapMS int64 `json:"gapMs"`
	Lasts bool  `json:"lasts"`
	good  time.Time
}

func (t *tally) add(err error) {
	now := time.Now()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.Calls++
	t.Lasts = err == nil
	if err == nil {
		t.GapMS = max(t.GapMS, now.Sub(t.good).Milliseconds())
		t.good = now
		return
	}
	t.Failed++
	if t.Failed <= told {
		t.Failures = append(t.Failures, fmt.Sprintf("%s %v", now.Format(time.TimeOnly), err))
	}
}

func check(connection *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
}

// So many call in turns, so that one that waits for an answer does not hold up the others.
const callers = 8

// How long after SIGTERM a call is waited for that succeeds; gRPC's backoff stays below it.
const patience = 60 * time.Second

// callAgain calls in turns until the time is over, or until a call succeeds that began after the signal.
func callAgain(signalled, ctx context.Context, turn *time.Ticker, way func() error, t *tally) {
	var until time.Time
	for {
		isOver := ctx.Err() != nil
		if isOver && until.IsZero() {
			until = time.Now().Add(patience)
		}
		err := way()
		t.add(err)
		if isOver && (err == nil || signalled.Err() == nil || time.Now().After(until)) {
			return
		}
		select {
		case <-turn.C:
		case <-ctx.Done():
			if isOver {
				<-turn.C
			}
		}
	}
}

func call(arguments []string) (map[string]*tally, error) {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	rate := flags.Int("rate", 50, "calls a second of each kind")
	limit := flags.Duration("for", time.Hour, "ends after that without a signal")
	flags.Parse(arguments)
	address := flags.Arg(0)
	kept, err := connect(address)
	if err != nil {
		return nil, err
	}
	defer kept.Close()
	ways := map[string]func() error{
		"keptConnection": func() error { return check(kept) },
		"newConnections": func() error {
			connection, err := connect(address)
			if err != nil {
				return err
			}
			defer connection.Close()
			return check(connection)
		},
	}
	signalled, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(signalled, *limit)
	defer cancel()
	result := map[string]*tally{}
	var all sync.WaitGroup
	for name, way := range ways {
		t := &tally{Failures: []string{}, good: time.Now()}
		result[name] = t
		for range callers {
			all.Go(func() {
				turn := time.NewTicker(callers * time.Second / time.Duration(*rate))
				defer turn.Stop()
				callAgain(signalled, ctx, turn, way, t)
			})
		}
	}
	all.Wait()
	return result, nil
}

func main() {
	var err error
	switch {
	case len(os.Args) >= 2 && os.Args[1] == "serve":
		err = serve(os.Args[2:])
	case len(os.Args) >= 3 && os.Args[1] == "call":
		var result map[string]*tally
		if result, err = call(os.Args[2:]); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(result)
		}
	default:
		err = fmt.Errorf("usage: performer serve [-port N] [-fail STATUS] [-abrupt] | call [-rate N] [-for TIME] ADDRESS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "performer:", err)
		os.Exit(1)
	}
}
