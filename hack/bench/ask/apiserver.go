package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const leases = "/apis/coordination.k8s.io/v1/namespaces/callboard-system/leases"

func (c *cluster) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/nodes", c.serve(&c.nodes))
	mux.HandleFunc("GET /api/v1/pods", c.serve(&c.pods))
	mux.HandleFunc("GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", c.serve(&c.leases))
	mux.HandleFunc("GET /apis/policy/v1/poddisruptionbudgets",
		c.serve(&collection{kind: "PodDisruptionBudget", api: "policy/v1"}))
	mux.HandleFunc("GET "+leases, c.serve(&collection{kind: "Lease", api: "coordination.k8s.io/v1"}))
	mux.HandleFunc("POST "+leases, c.writeLease)
	mux.HandleFunc("GET "+leases+"/callboard-extender", c.readLease)
	mux.HandleFunc("PATCH "+leases+"/callboard-extender", c.writeLease)
	return mux
}

// serve streams a list and then what changes; all watches begin with a list.
func (c *cluster) serve(objects *collection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Get("watch") == "" {
			http.Error(w, `{"kind":"Status","code":400,"message":"only watches are served"}`, http.StatusBadRequest)
			return
		}
		events := make(chan []byte, 100000)
		w.Header().Set("Content-Type", "application/json")
		c.mutex.Lock()
		version := c.version
		if objects.watchers != nil {
			objects.watchers[events] = struct{}{}
		}
		c.mutex.Unlock()
		if query.Get("sendInitialEvents") == "true" {
			to := bufio.NewWriterSize(w, 1<<20)
			for _, object := range objects.objects {
				_, _ = to.WriteString(`{"type":"ADDED","object":`)
				_, _ = to.Write(object)
				_, _ = to.WriteString("}\n")
			}
			fmt.Fprintf(to, `{"type":"BOOKMARK","object":{"kind":"%s","apiVersion":"%s","metadata":{"resourceVersion":"%d","annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n",
				objects.kind, objects.api, version)
			_ = to.Flush()
		}
		w.(http.Flusher).Flush()
		c.follow(w, r, objects, events)
	}
}

func (c *cluster) follow(w http.ResponseWriter, r *http.Request, of *collection, events chan []byte) {
	defer func() {
		c.mutex.Lock()
		delete(of.watchers, events)
		c.mutex.Unlock()
	}()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-c.ended:
			return
		case event, more := <-events:
			if !more {
				return
			}
			_, _ = w.Write(event)
			w.(http.Flusher).Flush()
		}
	}
}

// ---- The extender's own Lease ----

func (c *cluster) readLease(w http.ResponseWriter, _ *http.Request) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if c.lease == "" {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","reason":"NotFound","code":404,"details":{"name":"callboard-extender","kind":"leases"}}`)
		return
	}
	_, _ = io.WriteString(w, c.lease)
}

// writeLease keeps what it is sent: there is one who writes.
func (c *cluster) writeLease(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"callboard-extender","namespace":"callboard-system","uid":"lease","resourceVersion":"%s"},"spec":%s}`,
		c.next(), sent.Spec)
	c.lease = b.String()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = io.WriteString(w, c.lease)
}
