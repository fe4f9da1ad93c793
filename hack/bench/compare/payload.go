package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"callboard.dev/bench/program"
)

type object = map[string]any

// payload is an object that is to be created.
type payload struct {
	name   string
	kind   string
	object []byte
	review []byte // the AdmissionReview with it
}

// group and resource of the kinds.
var kinds = map[string][2]string{
	"Performer": {"hourglass.eigenlayer.io", "performers"},
	"JobFlow":   {"workflow.kube-zen.io", "jobflows"},
}

// newPayload makes the AdmissionReview that kube-apiserver would send for `kubectl create`.
func newPayload(name, kind string, spec object) *payload {
	group, resource := kinds[kind][0], kinds[kind][1]
	gvk := object{"group": group, "version": "v1alpha1", "kind": kind}
	gvr := object{"group": group, "version": "v1alpha1", "resource": resource}
	created := object{
		"apiVersion": group + "/v1alpha1",
		"kind":       kind,
		"metadata":   object{"name": name, "namespace": "default", "labels": object{"app.kubernetes.io/part-of": "reports"}},
		"spec":       spec,
	}
	return &payload{
		name:   name,
		kind:   kind,
		object: mustMarshal(created),
		review: mustMarshal(object{
			"apiVersion": "admission.k8s.io/v1",
			"kind":       "AdmissionReview",
			"request": object{
				"uid":             "705ab4f5-6393-11e8-b7cc-42010a800002",
				"kind":            gvk,
				"resource":        gvr,
				"requestKind":     gvk,
				"requestResource": gvr,
				"name":            name,
				"namespace":       "default",
				"operation":       "CREATE",
				"userInfo":        object{"username": "alice", "groups": []string{"devs", "system:authenticated"}},
				"object":          created,
				"oldObject":       nil,
				"dryRun":          false,
				"options":         object{"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
			},
		}),
	}
}

// mustMarshal writes what is known to be JSON.
func mustMarshal(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// path is where the server answers reviews of this kind.
func (p *payload) path(s *program.Server, phase string) string {
	if s.Name == "peer" {
		return "/" + phase + "-" + strings.ToLower(p.kind)
	}
	return "/" + phase
}

// request is the HTTP request with the review.
func (p *payload) request(s *program.Server, phase string) []byte {
	head := fmt.Sprintf("POST %s?timeout=10s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-apiserver-admission\r\n"+
		"Accept: application/json, */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		p.path(s, phase), s.Address, len(p.review))
	return append([]byte(head), p.review...)
}

// step is a step of type Job.
func step(name, script string, dependencies ...string) object {
	made := object{
		"name": name,
		"template": object{
			"apiVersion": "batch/v1",
			"kind":       "Job",
			"spec": object{"template": object{"spec": object{
				"containers": []object{{
					"name":    "main",
					"image":   "busybox:1.37",
					"command": []string{"sh", "-c"},
					"args":    []string{script},
				}},
				"restartPolicy": "OnFailure",
			}}},
		},
	}
	if len(dependencies) > 0 {
		made["dependencies"] = dependencies
	}
	return made
}

// smallFlow is two branches that are merged: six steps.
func smallFlow() *payload {
	return newPayload("flow", "JobFlow", object{
		"executionPolicy": object{"concurrencyPolicy": "Allow", "ttlSecondsAfterFinished": 3600},
		"steps": []object{
			step("extract-a", "echo 'extracted a' && sleep 3"),
			step("extract-b", "echo 'extracted b' && sleep 3"),
			step("transform-a", "echo 'transformed a' && sleep 3", "extract-a"),
			step("transform-b", "echo 'transformed b' && sleep 3", "extract-b"),
			step("merge", "echo 'merged a and b' && sleep 3", "transform-a", "transform-b"),
			step("load", "echo 'loaded' && sleep 3", "merge"),
		},
	})
}

// stepName numbers steps.
func stepName(i int) string {
	return fmt.Sprintf("step-%04d", i)
}

// largeFlow has 1,000 steps in layers of 25, each of which waits for two of the layer before.
func largeFlow() *payload {
	const count, layer = 1000, 25
	steps := make([]object, count)
	for i := range steps {
		script := fmt.Sprintf("process --shard %d --of %d", i, count)
		if i < layer {
			steps[i] = step(stepName(i), script)
			continue
		}
		above := i - i%layer - layer
		steps[i] = step(stepName(i), script, stepName(above+i%layer), stepName(above+(i+1)%layer))
	}
	return newPayload("flow-1000", "JobFlow", object{"steps": steps})
}

// cyclicFlow must be refused.
func cyclicFlow() *payload {
	return newPayload("cycle", "JobFlow", object{
		"steps": []object{step("a", "true", "c"), step("b", "true", "a"), step("c", "true", "b")},
	})
}

// performer uses the parts that most Performers use.
func performer() *payload {
	return newPayload("performer", "Performer", object{
		"avsAddress": "0x1234567890abcdef1234567890abcdef12345678",
		"image":      "registry.example/avs/performer:v2.1.0",
		"version":    "v2.1.0",
		"config": object{
			"environment": object{"LOG_LEVEL": "info", "RPC_URL": "http://rpc.example:8545"},
			"args":        []string{"--serve"},
		},
		"resources": object{
			"requests": object{"cpu": "500m", "memory": "256Mi"},
			"limits":   object{"memory": "512Mi"},
		},
		"scheduling":           object{"nodeSelector": object{"zone": "a"}},
		"hardwareRequirements": object{"gpuType": "nvidia-a100", "gpuMemory": "40Gi"},
	})
}

// imagelessPerformer must be refused.
func imagelessPerformer() *payload {
	return newPayload("imageless", "Performer", object{"avsAddress": "0x1"})
}
