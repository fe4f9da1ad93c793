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

// placeAll creates pods and waits until all are bound. The process `resume`, a scheduler that was stopped before, goes
// on when they are created, and the time is that since then.
func placeAll(ctx context.Context, c *client, file string, count, connections, resume int) (*result, error) {
	objects, err := templates(file)
	if err != nil {
		return nil, err
	}
	bound := make(chan error, 1)
	go func() { bound <- c.watch(ctx, pods, count, podIsBound, func(string) {}) }()
	start := time.Now()
	if err := c.createAll(count, connections, objects); err != nil {
		return nil, err
	}
	created := time.Since(start)
	if resume != 0 {
		start = time.Now()
		if err := syscall.Kill(resume, syscall.SIGCONT); err != nil {
			return nil, fmt.Errorf("process %d: %w", resume, err)
		}
	}
	if err := <-bound; err != nil {
		return nil, err
	}
	return &result{count, created.Seconds(), time.Since(start).Seconds()}, nil
}
