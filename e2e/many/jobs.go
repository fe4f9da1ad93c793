package main

import (
	"context"
	"fmt"
	"time"
)

// step is one of a flow: two chains of two side by side, one that merges them, and one that loads. A level has
// the steps that may run once those of the levels before have ended.
type step struct {
	name  string
	level int
	needs []string
}

var steps = []step{
	{"extract-a", 0, nil},
	{"extract-b", 0, nil},
	{"transform-a", 1, []string{"extract-a"}},
	{"transform-b", 1, []string{"extract-b"}},
	{"merge", 2, []string{"transform-a", "transform-b"}},
	{"load", 3, []string{"merge"}},
}

func hasCompleted(o *seen) bool { return hasCondition(o, "Completed") }

func jobHasCompleted(o *seen) bool { return hasCondition(o, "Complete") }

func jobSpec() object {
	return object{"template": object{"spec": object{
		"restartPolicy": "Never",
		"containers":    []object{{"name": "main", "image": image, "args": []string{"bench"}}},
	}}}
}

func flow(name string) []object {
	var list []object
	for _, s := range steps {
		o := object{"name": s.name, "template": object{"spec": jobSpec()}}
		if len(s.needs) > 0 {
			o["dependencies"] = s.needs
		}
		list = append(list, o)
	}
	return []object{{
		"apiVersion": "workflow.kube-zen.io/v1alpha1", "kind": "JobFlow",
		"metadata": object{"name": name},
		"spec":     object{"steps": list},
	}}
}

func job(name string) object {
	return object{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": object{"name": name, "labels": object{"app": "bare"}},
		"spec":     jobSpec(),
	}
}

// levels is how far the Jobs of one flow have come without it.
type levels struct {
	stem  string
	level int
	open  int // Jobs of the level that have not ended
}

// begin hands out the Jobs of the present level; there are none after the last.
func (l *levels) begin(of map[string]*levels, create chan<- string) {
	for _, s := range steps {
		if s.level == l.level {
			name := l.stem + "-" + s.name
			of[name] = l
			l.open++
			create <- name
		}
	}
}

// runByLevels creates the Jobs of `count` flows as a program does that knows no flows: those of a level when all of
// the level before have ended, each flow by itself. It returns when all have ended, with the time of the last request.
func runByLevels(ctx context.Context, c *client, count, connections int) (created time.Time, err error) {
	total := count * len(steps)
	// None of these is ever full.
	create, ended := make(chan string, total), make(chan string, total)
	answers, watched := make(chan error, total), make(chan error, 1)
	go func() {
		watched <- c.watch(ctx, jobs, total, jobHasCompleted, func(name string) { ended <- name })
	}()
	defer close(create)
	for range connections {
		go func() {
			for name := range create {
				answers <- c.create(jobs, job(name))
			}
		}()
	}
	of := map[string]*levels{} // by the names of the Jobs
	for i := range count {
		l := &levels{stem: fmt.Sprintf("many-%d", i)}
		l.begin(of, create)
	}
	for done := 0; done < total; {
		select {
		case name := <-ended:
			done++
			l := of[name]
			if l.open--; l.open == 0 {
				l.level++
				l.begin(of, create)
			}
		case err := <-answers:
			created = time.Now()
			if err != nil {
				return created, err
			}
		case err := <-watched:
			if err != nil {
				return created, err
			}
		}
	}
	return created, nil
}
