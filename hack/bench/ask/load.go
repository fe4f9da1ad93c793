package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"callboard.dev/bench/program"
)

// question is what kube-scheduler sends about a pod: the body, of which the pod's name is cut out.
type question struct {
	before, after []byte
	nodes         int
}

// questions are about a share, four whole GPUs of one's own, two of a device plugin, and none; each with all nodes
// of the cluster, as names or whole.
func questions(c *cluster, asNames bool) []question {
	var nodes bytes.Buffer
	if asNames {
		names, _ := json.Marshal(c.names)
		fmt.Fprintf(&nodes, `"Nodes":null,"NodeNames":%s`, names)
	} else {
		fmt.Fprintf(&nodes, `"NodeNames":null,"Nodes":{"metadata":{},"items":[%s]}`, bytes.Join(c.nodes.objects, []byte(",")))
	}
	var all []question
	for _, asks := range []string{`"callboard.dev/gpu-milli":"300"`, `"callboard.dev/gpu-milli":"2k"`, `"nvidia.com/gpu":"2"`, `"cpu":"2"`} {
		after := fmt.Sprintf(`","namespace":"team-1","uid":"9b0f1c53-93d1-4c11-8a5c-0f1f7a9d6c11","labels":{"app.kubernetes.io/managed-by":"callboard"},"annotations":{"callboard.dev/gpu-memory":"30Gi"}},"spec":{"schedulerName":"callboard-scheduler","containers":[{"name":"performer","image":"registry.example.internal/platform/performer:v1","resources":{"limits":{%s},"requests":{%s,"memory":"2Gi"}}}]},"status":{"phase":"Pending"}},%s}`,
			asks, asks, nodes.Bytes())
		all = append(all, question{[]byte(`{"Pod":{"metadata":{"name":"`), []byte(after), len(c.names)})
	}
	return all
}

// connection asks one question after the other.
type connection struct {
	to     io.ReadWriteCloser
	reader *bufio.Reader
	answer bytes.Buffer
}

func (c *connection) ask(request []byte) (time.Duration, error) {
	began := time.Now()
	if _, err := c.to.Write(request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	c.answer.Reset()
	if _, err := c.answer.ReadFrom(response.Body); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d: %.300s", response.StatusCode, c.answer.Bytes())
	}
	return took, nil
}

// check sees to it that something was found: an error is quicker than an answer.
func check(verb string, answer []byte, nodes int) error {
	if verb != "prioritize" {
		var result struct {
			NodeNames *[]string
			Nodes     *struct{ Items []json.RawMessage }
			Error     string
		}
		if err := json.Unmarshal(answer, &result); err != nil {
			return err
		}
		found := result.NodeNames != nil && len(*result.NodeNames) > 0 || result.Nodes != nil && len(result.Nodes.Items) > 0
		if result.Error != "" || !found {
			return fmt.Errorf("%s found no node: %.300s", verb, answer)
		}
		return nil
	}
	var scores []struct{ Score int }
	if err := json.Unmarshal(answer, &scores); err != nil {
		return err
	}
	best := 0
	for _, score := range scores {
		best = max(best, score.Score)
	}
	if len(scores) > nodes || best == 0 {
		return fmt.Errorf("prioritize chose none of %d nodes", nodes)
	}
	return nil
}

func (b *benchmark) dial(s *program.Server) (io.ReadWriteCloser, error) {
	if b.plain {
		return net.Dial("tcp", s.Address)
	}
	return s.Dial()
}

// ask sends a question so many times, and reports how long the answers took.
func (b *benchmark) ask(ctx context.Context, s *program.Server, name, verb string, q question, times int) error {
	to, err := b.dial(s)
	if err != nil {
		return err
	}
	defer to.Close()
	c := &connection{to: to, reader: bufio.NewReaderSize(to, 64<<10)}
	warmUp := times / 10
	var latencies []time.Duration
	var before time.Duration
	for i := range warmUp + times {
		if i == warmUp {
			if before, err = s.CPU(); err != nil {
				return err
			}
		}
		pod := fmt.Sprintf("asked-%d", i)
		head := fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
			verb, s.Address, len(q.before)+len(pod)+len(q.after))
		request := slices.Concat([]byte(head), q.before, []byte(pod), q.after)
		took, err := c.ask(request)
		if err == nil && i == 0 {
			err = check(verb, c.answer.Bytes(), q.nodes)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if i >= warmUp {
			latencies = append(latencies, took)
		}
	}
	after, err := s.CPU()
	if err != nil {
		return err
	}
	slices.Sort(latencies)
	for _, share := range []struct {
		name string
		of   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		b.add(name+"_"+share.name, latencies[int(share.of*float64(times-1))].Seconds()*1e3, "ms")
	}
	b.add(name+"_cpu", (after-before).Seconds()*1e3/float64(times), "ms")
	return nil
}
