package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"callboard.dev/bench/program"
)

// payloads are what the servers are compared by.
func payloads() []*payload {
	return []*payload{smallFlow(), performer(), largeFlow()}
}

var phases = []string{"mutate", "validate"}

type benchmark struct {
	options options
	servers [2]*program.Server // callboard, peer
	report  *report
}

// series are the rounds of one payload and phase on one server.
type series struct {
	rate, cpu, p50, p99 []float64
	peak                int64
}

func (s *series) add(o *outcome) {
	count := float64(o.count)
	s.rate = append(s.rate, count/o.took.Seconds())
	s.cpu = append(s.cpu, micros(o.cpu)/count)
	s.p50 = append(s.p50, micros(o.percentile(0.5)))
	s.p99 = append(s.p99, micros(o.percentile(0.99)))
	s.peak = max(s.peak, o.peak)
}

func micros(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1e3
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratio is the median of the ratios of rounds that belong together.
func ratio(over, under []float64) float64 {
	ratios := make([]float64, 0, len(over))
	for i := range over {
		if under[i] > 0 {
			ratios = append(ratios, over[i]/under[i])
		}
	}
	if len(ratios) == 0 {
		return 0 // too few requests for a tick of the processor's clock
	}
	return median(ratios)
}

// round loads one server for a while.
func (b *benchmark) round(ctx context.Context, s *program.Server, p *payload, phase string, seconds float64) (*outcome, error) {
	request := p.request(s, phase)
	l := &load{
		server:   s,
		requests: func(int) []byte { return request },
		limit:    b.options.requests,
		deadline: time.Duration(seconds * float64(time.Second)),
	}
	return l.run(ctx, b.options.connections)
}

// compare loads both servers in turns with each payload.
func (b *benchmark) compare(ctx context.Context) error {
	for _, p := range payloads() {
		b.report.add(p.name+"_review_size", float64(len(p.review)), "bytes")
	}
	for _, s := range b.servers {
		b.report.add("rss_idle_"+s.Name, float64(s.Idle)/(1<<20), "MiB")
	}
	for _, p := range payloads() {
		if b.options.only != "" && b.options.only != p.name {
			continue
		}
		for _, phase := range phases {
			if err := b.comparePayload(ctx, p, phase); err != nil {
				return err
			}
		}
	}
	for _, s := range b.servers {
		after, err := s.Anonymous()
		if err != nil {
			return err
		}
		b.report.add("rss_after_"+s.Name, float64(after)/(1<<20), "MiB")
	}
	return nil
}

func (b *benchmark) comparePayload(ctx context.Context, p *payload, phase string) error {
	const warmUp = 0.2 // of a round
	var all [2]series
	for i := -1; i < b.options.rounds; i++ {
		for turn := range b.servers {
			which := (turn + i + 1) % 2
			seconds := b.options.seconds
			if i < 0 {
				seconds *= warmUp
			}
			result, err := b.round(ctx, b.servers[which], p, phase, seconds)
			if err != nil {
				return fmt.Errorf("%s %s: %w", phase, p.name, err)
			}
			if i >= 0 {
				all[which].add(result)
			}
		}
	}
	b.reportPayload(p.name+"_"+phase, &all[0], &all[1])
	return nil
}

func (b *benchmark) reportPayload(name string, callboard, peer *series) {
	for i, s := range []*series{callboard, peer} {
		whose := "_" + b.servers[i].Name
		b.report.add(name+"_rate"+whose, median(s.rate), "requests/s")
		b.report.add(name+"_cpu"+whose, median(s.cpu), "us")
		b.report.add(name+"_p50"+whose, median(s.p50), "us")
		b.report.add(name+"_p99"+whose, median(s.p99), "us")
		b.report.add(name+"_rss_peak"+whose, float64(s.peak)/(1<<20), "MiB")
	}
	b.report.add(name+"_rate_ratio", ratio(callboard.rate, peer.rate), "times")
	b.report.add(name+"_cpu_ratio", ratio(peer.cpu, callboard.cpu), "times")
	b.report.add(name+"_p99_of_peer_p50", ratio(callboard.p99, peer.p50), "times")
}

// soak sends callboard-webhook all that it has been sent before, mixed, and looks at its memory.
func (b *benchmark) soak(ctx context.Context) error {
	const samples, largeEvery = 10, 100
	s := b.servers[0]
	var small, large [][]byte
	for _, phase := range phases {
		small = append(small, smallFlow().request(s, phase), performer().request(s, phase))
		large = append(large, largeFlow().request(s, phase))
	}
	every := max(1, b.options.requests/samples)
	var failed error
	look := func(n int) {
		now, err := s.Anonymous()
		if err != nil {
			failed = err
		}
		b.report.add(fmt.Sprintf("soak_rss_after_%d", n), float64(now)/(1<<20), "MiB")
	}
	l := &load{
		server: s,
		limit:  b.options.requests,
		requests: func(n int) []byte {
			if n%largeEvery == 0 {
				return large[n/largeEvery%len(large)]
			}
			return small[n%len(small)]
		},
		begun: func(n int) {
			if n > 0 && n%every == 0 {
				look(n)
			}
		},
	}
	result, err := l.run(ctx, b.options.connections)
	if err != nil {
		return err
	}
	look(result.count)
	b.report.add("soak_rss_peak", float64(result.peak)/(1<<20), "MiB")
	b.report.add("soak_rate", float64(result.count)/result.took.Seconds(), "requests/s")
	return failed
}
