// Command load writes Performers through a kube-apiserver as fast as it answers, from many clients at
// once, and counts the requests that did not end as they should.
//
// Each client goes round: create, merge patch, server-side apply, a dry run, a create that must be
// refused with the webhook's own words, and deletion. It ends at SIGTERM, but not before -least requests,
// or after -for, whichever is first, leaves nothing behind, and prints a summary as JSON. Whatever is not
// exactly the expected answer is a failure; nothing is tried twice.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"callboard.dev/e2e/kubeconfig"
)

const api = "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/"

type client struct {
	http   *http.Client
	access *kubeconfig.Access
	path   string // of the namespace's Performers
}

func newClient(file, namespace string, connections int) (*client, error) {
	access, err := kubeconfig.Read(file)
	if err != nil {
		return nil, err
	}
	access.Transport.MaxIdleConnsPerHost = connections
	return &client{
		http:   &http.Client{Transport: access.Transport, Timeout: 30 * time.Second},
		access: access,
		path:   api + namespace + "/performers",
	}, nil
}

// status is what a refusal says.
type status struct {
	Message string `json:"message"`
}

func (c *client) do(method, path, mediaType string, body any) (int, string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequest(method, c.access.Server+c.path+path, bytes.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", mediaType)
	c.access.Authorize(request)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	var refusal status
	if response.StatusCode >= 400 {
		_ = json.Unmarshal(answer, &refusal)
	}
	return response.StatusCode, refusal.Message, nil
}

type object map[string]any

func performer(name, image string) object {
	return object{
		"apiVersion": "hourglass.eigenlayer.io/v1alpha1",
		"kind":       "Performer",
		"metadata":   object{"name": name},
		"spec": object{
			"avsAddress": "0x1", "image": image,
			"resources": object{"limits": object{"memory": "1Gi"}},
		},
	}
}

// step is one request and the answer that it must get.
type step struct {
	name      string
	method    string
	path      string
	mediaType string
	body      any
	code      int
	message   string // a part of it
}

// round is what a client does again and again with one name.
func round(name string) []step {
	const mediaType = "application/json"
	return []step{
		{"create", "POST", "", mediaType, performer(name, "app:v1"), 201, ""},
		{"patch", "PATCH", "/" + name, "application/merge-patch+json", object{"spec": object{"version": "v2"}}, 200, ""},
		{"apply", "PATCH", "/" + name + "?fieldManager=load&force=true", "application/apply-patch+yaml",
			performer(name, "app:v3"), 200, ""},
		{"dry run", "POST", "?dryRun=All", mediaType, performer(name+"-dry", "app:v1"), 201, ""},
		{"refused", "POST", "", mediaType, performer(name+"-bad", "No Image"), 422,
			`spec.image: Invalid value: "No Image": must be an image reference`},
		{"release", "PATCH", "/" + name, "application/merge-patch+json",
			object{"metadata": object{"finalizers": nil}}, 200, ""},
		{"delete", "DELETE", "/" + name, mediaType, object{}, 200, ""},
	}
}

// tally is what all clients have seen.
type tally struct {
	mutex    sync.Mutex
	byName   map[string]int
	failures []string
	slowness []time.Duration
}

func (t *tally) add(s step, took time.Duration, code int, message string, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.byName[s.name]++
	t.slowness = append(t.slowness, took)
	switch {
	case err != nil:
		t.failures = append(t.failures, s.name+": "+err.Error())
	case code != s.code || !strings.Contains(message, s.message):
		t.failures = append(t.failures, fmt.Sprintf("%s: %d %s", s.name, code, message))
	}
}

// isDone says whether it may end: it was told to and has made enough requests, or its time is over.
func (t *tally) isDone(told, limit context.Context, least int) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return limit.Err() != nil || told.Err() != nil && len(t.slowness) >= least
}

// summary is what is printed at the end.
type summary struct {
	Requests      int            `json:"requests"`
	Failures      int            `json:"failures"`
	FirstFailures []string       `json:"firstFailures"`
	ByName        map[string]int `json:"byName"`
	MedianMS      float64        `json:"medianMs"`
	P99MS         float64        `json:"p99Ms"`
	MaxMS         float64        `json:"maxMs"`
	Seconds       float64        `json:"seconds"`
}

func (t *tally) summary(took time.Duration) summary {
	sort.Slice(t.slowness, func(i, j int) bool { return t.slowness[i] < t.slowness[j] })
	at := func(share float64) float64 {
		if len(t.slowness) == 0 {
			return 0
		}
		return float64(t.slowness[int(share*float64(len(t.slowness)-1))].Microseconds()) / 1000
	}
	return summary{
		Requests:      len(t.slowness),
		Failures:      len(t.failures),
		FirstFailures: t.failures[:min(5, len(t.failures))],
		ByName:        t.byName,
		MedianMS:      at(0.5),
		P99MS:         at(0.99),
		MaxMS:         at(1),
		Seconds:       took.Seconds(),
	}
}

func main() {
	config := flag.String("kubeconfig", "", "file with the JSON of kubectl config view --raw --minify --flatten")
	namespace := flag.String("namespace", "default", "where the Performers are written")
	workers := flag.Int("clients", 8, "how many write at once")
	limit := flag.Duration("for", 2*time.Minute, "ends after that without a signal")
	least := flag.Int("least", 0, "how many requests it makes before it heeds a signal")
	flag.Parse()

	c, err := newClient(*config, *namespace, *workers)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	timed, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()

	t := &tally{byName: map[string]int{}}
	begin := time.Now()
	var all sync.WaitGroup
	for worker := range *workers {
		all.Go(func() {
			for n := 0; !t.isDone(told, timed, *least); n++ {
				// A round is finished once begun, so that nothing is left behind.
				for _, s := range round(fmt.Sprintf("load-%d-%d", worker, n)) {
					start := time.Now()
					code, message, err := c.do(s.method, s.path, s.mediaType, s.body)
					t.add(s, time.Since(start), code, message, err)
				}
			}
		})
	}
	all.Wait()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(t.summary(time.Since(begin))); err != nil {
		os.Exit(2)
	}
}
