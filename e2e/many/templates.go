package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

func podIsBound(o *seen) bool { return o.Spec.NodeName != "" }

// templates are the pods of a file in turn: a list of objects without names.
func templates(file string) (func(name string) []object, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no templates", file)
	}
	var next atomic.Int64
	return func(name string) []object {
		var pod object
		// The text is JSON, as was seen above.
		_ = json.Unmarshal(all[int(next.Add(1)-1)%len(all)], &pod)
		metadata, _ := pod["metadata"].(map[string]any)
		if metadata == nil {
			metadata = object{}
		}
		metadata["name"] = name
		pod["metadata"] = metadata
		return []object{pod}
	}, nil
}

// place is pods of templates that are to be bound.
type place struct {
	file      string
	resume    int       // a scheduler that was stopped, which goes on when they are created; 0: none
	processes []process // whose processor time is told
}

// all creates the pods and waits until they are bound. Time and processor time are those since they were created when
// there is somebody to go on, and else since the first request.
func (p *place) all(ctx context.Context, c *client, count, connections int) (*result, error) {
	objects, err := templates(p.file)
	if err != nil {
		return nil, err
	}
	bound := make(chan error, 1)
	go func() { bound <- c.watch(ctx, pods, count, podIsBound, func(string) {}) }()
	start := time.Now()
	before, err := cpuSeconds(p.processes)
	if err != nil {
		return nil, err
	}
	if err := c.createAll(count, connections, objects); err != nil {
		return nil, err
	}
	created := time.Since(start)
	if p.resume != 0 {
		if before, err = cpuSeconds(p.processes); err != nil {
			return nil, err
		}
		start = time.Now()
		if err := syscall.Kill(p.resume, syscall.SIGCONT); err != nil {
			return nil, fmt.Errorf("process %d: %w", p.resume, err)
		}
	}
	if err := <-bound; err != nil {
		return nil, err
	}
	serving := time.Since(start)
	spent, err := since(before, p.processes)
	return &result{count, created.Seconds(), serving.Seconds(), spent}, err
}
