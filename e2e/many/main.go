// Command many creates a number of Performers, or as many bare pods with a Service each, and waits until all
// of them serve: a Performer is Running and ready; a pod is Ready and its Service leads to it. Or it creates
// flows, or the same Jobs without a flow, and waits until all have ended well (jobs.go). Or it creates pods of
// templates, and waits until they are bound to nodes (templates.go). It prints how long that took, in seconds since
// the first request, as JSON, and the processor time of others meanwhile. What it made stays there.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"callboard.dev/e2e/kubeconfig"
)

type client struct {
	http      *http.Client
	access    *kubeconfig.Access
	namespace string
}

func newClient(file, namespace string) (*client, error) {
	access, err := kubeconfig.Read(file)
	if err != nil {
		return nil, err
	}
	return &client{&http.Client{Transport: access.Transport}, access, namespace}, nil
}

// resource is where objects of a kind are.
type resource struct{ api, plural string }

var (
	performers = resource{"/apis/hourglass.eigenlayer.io/v1alpha1", "performers"}
	pods       = resource{"/api/v1", "pods"}
	services   = resource{"/api/v1", "services"}
	slices     = resource{"/apis/discovery.k8s.io/v1", "endpointslices"}
	flows      = resource{"/apis/workflow.kube-zen.io/v1alpha1", "jobflows"}
	jobs       = resource{"/apis/batch/v1", "jobs"}
)

func (c *client) url(r resource) string {
	return c.access.Server + r.api + "/namespaces/" + c.namespace + "/" + r.plural
}

type object map[string]any

func (c *client) create(r resource, body object) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest("POST", c.url(r), bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	c.access.Authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("creating %s: %d %s", r.plural, response.StatusCode, answer)
	}
	return nil
}

// seen is what is read of the objects of all kinds.
type seen struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Phase      string `json:"phase"`
		Ready      any    `json:"ready"` // a number in a Job
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
	Endpoints []struct {
		Conditions struct {
			Ready bool `json:"ready"`
		} `json:"conditions"`
	} `json:"endpoints"`
}

func performerServes(o *seen) bool { return o.Status.Phase == "Running" && o.Status.Ready == true }

func hasCondition(o *seen, name string) bool {
	for _, condition := range o.Status.Conditions {
		if condition.Type == name {
			return condition.Status == "True"
		}
	}
	return false
}

func podServes(o *seen) bool { return hasCondition(o, "Ready") }

func sliceServes(o *seen) bool {
	for _, endpoint := range o.Endpoints {
		if endpoint.Conditions.Ready {
			return true
		}
	}
	return false
}

// watch returns once `count` objects are as `serves` wants them, and says of each when it is. The apiserver may end a
// watch at any time, that of a custom resource even soon after its definition was applied; the next one begins with
// all there is.
func (c *client) watch(ctx context.Context, r resource, count int, serves func(*seen) bool, say func(name string)) error {
	done := map[string]bool{}
	for {
		err := c.watchOnce(ctx, r, count, serves, say, done)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
}

func (c *client) watchOnce(ctx context.Context, r resource, count int, serves func(*seen) bool, say func(name string),
	done map[string]bool,
) error {
	request, err := http.NewRequestWithContext(ctx, "GET", c.url(r)+"?watch=1", nil)
	if err != nil {
		return err
	}
	c.access.Authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("watching %s: %s", r.plural, response.Status)
	}
	decoder := json.NewDecoder(response.Body)
	for len(done) < count {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := decoder.Decode(&event); err != nil {
			return fmt.Errorf("watching %s, %d of %d are there: %w", r.plural, len(done), count, err)
		}
		if event.Type == "ERROR" { // it could not keep up
			return io.EOF
		}
		var now seen
		if err := json.Unmarshal(event.Object, &now); err != nil {
			return fmt.Errorf("watching %s: %w", r.plural, err)
		}
		name := now.Metadata.Name
		switch {
		case event.Type == "DELETED" || !serves(&now):
			delete(done, name)
		case !done[name]:
			done[name] = true
			say(name)
		}
	}
	return nil
}

const image = "registry.example/app:v1"

func performer(name string) []object {
	return []object{{
		"apiVersion": "hourglass.eigenlayer.io/v1alpha1", "kind": "Performer",
		"metadata": object{"name": name},
		"spec": object{
			"avsAddress": "0x1", "image": image,
			"config":    object{"environment": object{"MODE": "bench"}},
			"resources": object{"limits": object{"memory": "64Mi"}},
		},
	}}
}

// bare is what the controller makes of the Performer above, with its specs to the field, but without what
// ties them to it.
func bare(name string) []object {
	labels := object{"app": "bare", "bare": name}
	probe := func(period, failures int) object {
		return object{
			"grpc": object{"port": 9090}, "timeoutSeconds": 5,
			"periodSeconds": period, "failureThreshold": failures,
		}
	}
	return []object{{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "labels": labels},
		"spec": object{"enableServiceLinks": false, "containers": []object{{
			"name": "performer", "image": image, "imagePullPolicy": "IfNotPresent",
			"env":            []object{{"name": "MODE", "value": "bench"}},
			"ports":          []object{{"name": "grpc", "containerPort": 9090}},
			"resources":      object{"limits": object{"memory": "64Mi"}},
			"startupProbe":   probe(2, 150),
			"readinessProbe": probe(5, 3),
			"livenessProbe":  probe(10, 3),
		}}},
	}, {
		"apiVersion": "v1", "kind": "Service",
		"metadata": object{"name": name, "labels": labels},
		"spec": object{
			"selector": object{"bare": name},
			"ports":    []object{{"name": "grpc", "port": 9090, "targetPort": 9090}},
		},
	}}
}

// createAll sends them, as many requests at once as there are connections.
func (c *client) createAll(count, connections int, objects func(name string) []object) error {
	names := make(chan string, count)
	for i := range count {
		names <- fmt.Sprintf("many-%d", i)
	}
	close(names)
	failures := make(chan error, connections)
	var wait sync.WaitGroup
	for range connections {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for name := range names {
				for _, o := range objects(name) {
					if err := c.create(resourceOf(o), o); err != nil {
						failures <- err
						return
					}
				}
			}
		}()
	}
	wait.Wait()
	close(failures)
	return <-failures
}

func resourceOf(o object) resource {
	switch o["kind"] {
	case "Performer":
		return performers
	case "Pod":
		return pods
	case "JobFlow":
		return flows
	default:
		return services
	}
}

// result is what is printed.
type result struct {
	Count          int     `json:"count"`
	CreatedSeconds float64 `json:"createdSeconds"`
	ServingSeconds float64 `json:"servingSeconds"`
	// Of the processes that were asked about, by their names.
	CPUSeconds map[string]float64 `json:"cpuSeconds,omitempty"`
}

// work is what is to be created, and when it has come to its end.
type work struct {
	objects func(name string) []object
	wanted  map[resource]func(*seen) bool
}

var works = map[string]work{
	"performers": {performer, map[resource]func(*seen) bool{performers: performerServes}},
	"pods":       {bare, map[resource]func(*seen) bool{pods: podServes, slices: sliceServes}},
	"flows":      {flow, map[resource]func(*seen) bool{flows: hasCompleted}},
}

// createAndWait sends all at once, and returns when each has come to its end, with the time of the last request.
func createAndWait(ctx context.Context, c *client, w work, count, connections int) (created time.Time, err error) {
	failures := make(chan error, len(w.wanted))
	for r, serves := range w.wanted {
		go func() { failures <- c.watch(ctx, r, count, serves, func(string) {}) }()
	}
	if err := c.createAll(count, connections, w.objects); err != nil {
		return created, err
	}
	created = time.Now()
	for range w.wanted {
		if err := <-failures; err != nil {
			return created, err
		}
	}
	return created, nil
}

func run(c *client, what string, p *place, count, connections int, timeout time.Duration) (*result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	w, isKnown := works[what]
	start := time.Now()
	var created time.Time
	var err error
	switch {
	case p.file != "":
		return p.all(ctx, c, count, connections)
	case isKnown:
		created, err = createAndWait(ctx, c, w, count, connections)
	case what == "jobs":
		created, err = runByLevels(ctx, c, count, connections)
	default:
		err = fmt.Errorf("-what %s is not known", what)
	}
	if err != nil {
		return nil, err
	}
	return &result{Count: count, CreatedSeconds: created.Sub(start).Seconds(), ServingSeconds: time.Since(start).Seconds()}, nil
}

func main() {
	file := flag.String("kubeconfig", "", "what `kubectl config view --raw --minify --flatten -o json` prints")
	namespace := flag.String("namespace", "default", "where")
	what := flag.String("what", "performers", "performers; pods: with a Service each; flows; jobs: those of as many flows")
	template := flag.String("template", "", "file with pods, a JSON list, to be created in turn in place of those")
	resume := flag.Int("resume", 0, "id of a stopped process that goes on when the pods of templates are created")
	processes := flag.String("processes", "", "NAME=PID,…: whose processor time is told, with -template")
	count := flag.Int("count", 500, "how many")
	connections := flag.Int("connections", 16, "requests at once")
	timeout := flag.Duration("timeout", 10*time.Minute, "for all")
	flag.Parse()
	c, err := newClient(*file, *namespace)
	p := place{file: *template, resume: *resume}
	if err == nil {
		p.processes, err = readProcesses(*processes)
	}
	if err == nil {
		var r *result
		if r, err = run(c, *what, &p, *count, *connections, *timeout); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "many:", err)
		os.Exit(1)
	}
}
