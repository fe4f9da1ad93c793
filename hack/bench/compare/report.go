package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// figure is one line of the report.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// report is what is written at the end.
type report struct {
	Processor   string   `json:"processor"`
	Processors  int      `json:"processors"`
	Go          string   `json:"go"`
	Rounds      int      `json:"rounds"`
	Seconds     float64  `json:"secondsPerRound"`
	Connections int      `json:"connections"`
	Requests    int      `json:"requests"`
	Took        float64  `json:"tookSeconds"`
	Figures     []figure `json:"figures"`

	mutex sync.Mutex
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func newReport(o options) *report {
	return &report{
		Processor:   processor(),
		Processors:  runtime.NumCPU(),
		Go:          runtime.Version(),
		Rounds:      o.rounds,
		Seconds:     o.seconds,
		Connections: o.connections,
		Requests:    o.requests,
	}
}

// add prints the figure at once: a run takes minutes.
func (r *report) add(name string, value float64, unit string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.Figures = append(r.Figures, figure{name, value, unit})
	fmt.Printf("%s %.4g %s\n", name, value, unit)
}

func (r *report) write(path string, took time.Duration) error {
	r.Took = took.Seconds()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
