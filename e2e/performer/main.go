// Command performer is the least that a Performer's container may be: a gRPC server that answers the
// standard health check, and at SIGTERM tells its clients to go elsewhere and finishes their calls. It is
// also such a client:
//
//	performer serve [-port N] [-fail STATUS]   with -fail it ends at once, with that status
//	performer call ADDRESS                     calls until SIGTERM, and prints what became of it as JSON
//
// The client calls over one connection that it keeps, and over a new one for each call. It tries nothing
// twice.
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
		server.GracefulStop()
	}()
	return server.Serve(listener)
}

// tally is what became of the calls.
type tally struct {
	Calls    int      `json:"calls"`
	Failures []string `json:"failures"`
}

func (t *tally) add(err error) {
	t.Calls++
	if err != nil {
		t.Failures = append(t.Failures, fmt.Sprintf("%s %v", time.Now().Format(time.TimeOnly), err))
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

func call(address string) (map[string]*tally, error) {
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
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	result := map[string]*tally{}
	var wait sync.WaitGroup
	for name, way := range ways {
		t := &tally{Failures: []string{}}
		result[name] = t
		wait.Add(1)
		go func() {
			defer wait.Done()
			for ctx.Err() == nil {
				t.add(way())
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	wait.Wait()
	return result, nil
}

func main() {
	var err error
	switch {
	case len(os.Args) >= 2 && os.Args[1] == "serve":
		err = serve(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "call":
		var result map[string]*tally
		if result, err = call(os.Args[2]); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(result)
		}
	default:
		err = fmt.Errorf("usage: performer serve [-port N] [-fail STATUS] | call ADDRESS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "performer:", err)
		os.Exit(1)
	}
}
