package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// process is one whose processor time is of interest.
type process struct {
	name string
	pid  int
}

// readProcesses reads "name=pid,name=pid".
func readProcesses(text string) ([]process, error) {
	var all []process
	for _, item := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		name, number, _ := strings.Cut(item, "=")
		pid, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("-processes %s: %w", item, err)
		}
		all = append(all, process{name, pid})
	}
	return all, nil
}

// cpuSeconds is what each has spent so far, in user and system mode.
func cpuSeconds(all []process) (map[string]float64, error) {
	seconds := map[string]float64{}
	for _, p := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		// The second field is the command in parentheses; the 14th and 15th are the times in ticks of 10 ms.
		fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
		if len(fields) < 13 {
			return nil, fmt.Errorf("%s: /proc/PID/stat has %d fields", p.name, len(fields))
		}
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			seconds[p.name] += float64(ticks) / 100
		}
	}
	return seconds, nil
}

// since is what each has spent after `before`.
func since(before map[string]float64, all []process) (map[string]float64, error) {
	seconds, err := cpuSeconds(all)
	for name := range seconds {
		seconds[name] -= before[name]
	}
	return seconds, err
}
