package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// collection is one kind of objects: each as JSON without braces around its resourceVersion.
type collection struct {
	objects  [][]byte
	kind     string
	api      string
	watchers map[chan []byte]struct{} // nil: nothing changes
}

// cluster is what the API server serves.
type cluster struct {
	names    []string // of nodes
	nodes    collection
	pods     collection
	leases   collection
	url      string
	server   *http.Server
	listener net.Listener

	mutex   sync.Mutex
	version int
	lease   string // the extender's own, or ""
	ended   chan struct{}
	begun   bool
}

const (
	onShared = 8 // devices of a node
	imageURL = "registry.example.internal/platform/training/image-%02d@sha256:" +
		"6a1bd3cbd6ba8d1a3e5ab1b1b1ff0c62bd0e6a2bdbb3a6a7d1d4a1f9b6a4c%03d"
)

func nodeName(i int) string {
	return fmt.Sprintf("ip-10-%d-%d-%d.eu-central-1.compute.internal", i>>16, i>>8&255, i&255)
}

// modeOf: of five nodes two share their GPUs, one has a device plugin, and two have none.
func modeOf(i int) string {
	return []string{"shared", "plugin", "none", "shared", "none"}[i%5]
}

// makeNode is a node with the labels of the usual discovery and 50 images: 26 KB, as in real clusters.
func makeNode(i int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"%s","uid":"node-%d","resourceVersion":"1","labels":{"kubernetes.io/hostname":"%s"`,
		nodeName(i), i, nodeName(i))
	resources := `"cpu":"64","memory":"512Gi","ephemeral-storage":"1Ti","pods":"250"`
	if mode := modeOf(i); mode != "none" {
		fmt.Fprintf(&b, `,"nvidia.com/gpu.product":"NVIDIA-A100-SXM4-40GB","nvidia.com/gpu.memory":"40960","nvidia.com/gpu.count":"%d","nvidia.com/cuda.runtime-version.major":"12","nvidia.com/cuda.runtime-version.minor":"4"`, onShared)
		if mode == "shared" {
			b.WriteString(`,"callboard.dev/gpu-mode":"shared"`)
			resources += fmt.Sprintf(`,"nvidia.com/gpu":"0","callboard.dev/gpu-milli":"%d"`, onShared*1000)
		} else {
			resources += fmt.Sprintf(`,"nvidia.com/gpu":"%d"`, onShared)
		}
	}
	for l := range 100 {
		fmt.Fprintf(&b, `,"feature.node.kubernetes.io/cpu-cpuid.FEATURE%03d":"true"`, l)
	}
	fmt.Fprintf(&b, `}},"spec":{"podCIDR":"10.%d.%d.0/24"},"status":{"capacity":{%s},"allocatable":{%s},"conditions":[`,
		i>>8, i&255, resources, resources)
	now := time.Now().UTC().Format(time.RFC3339)
	for _, condition := range []string{"MemoryPressure", "DiskPressure", "PIDPressure"} {
		fmt.Fprintf(&b, `{"type":"%s","status":"False","lastHeartbeatTime":"%s","reason":"KubeletHasSufficient","message":"kubelet has sufficient resources"},`, condition, now)
	}
	fmt.Fprintf(&b, `{"type":"Ready","status":"True","lastHeartbeatTime":"%s","reason":"KubeletReady","message":"kubelet is posting ready status"}],"images":[`, now)
	for image := range 50 {
		if image > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"names":["`+imageURL+`","registry.example.internal/platform/training/image-%02d:v1.%d.%d","mirror.example.internal/cache/platform/training/image-%02d:v1.%d.%d"],"sizeBytes":%d}`,
			image, i%1000, image, i%100, image, image, i%100, image, 100000000+image)
	}
	b.WriteString(`]}}`)
	return []byte(b.String())
}

func makeLease(i, version int) []byte {
	return fmt.Appendf(nil, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"%s","namespace":"kube-node-lease","uid":"lease-%d","resourceVersion":"%d"},"spec":{"holderIdentity":"%s","leaseDurationSeconds":40,"renewTime":"%s"}}`,
		nodeName(i), i, version, nodeName(i), time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
}

// makePod is the nth pod of a node: some with half a GPU, or a whole one, the others without.
func makePod(id, node, nth int, version int) []byte {
	limits, annotations := `"cpu":"500m","memory":"1Gi"`, ""
	switch mode := modeOf(node); {
	case mode == "shared" && nth < onShared+onShared/2:
		limits += `,"callboard.dev/gpu-milli":"500"`
		annotations = fmt.Sprintf(`"callboard.dev/devices":"%d"`, nth/2)
	case mode == "plugin" && nth < onShared*3/4:
		limits += `,"nvidia.com/gpu":"1"`
	}
	return fmt.Appendf(nil, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"performer-%06d-7d9c6b5f4-abcde","namespace":"team-%d","uid":"3f0c5a52-7d7e-4f0e-9a55-%012d","resourceVersion":"%d","generateName":"performer-%06d-7d9c6b5f4-","creationTimestamp":"2026-11-20T10:00:00Z","labels":{"app.kubernetes.io/managed-by":"callboard","app.kubernetes.io/name":"performer-%06d","pod-template-hash":"7d9c6b5f4"},"annotations":{%s},"ownerReferences":[{"apiVersion":"hourglass.eigenlayer.io/v1alpha1","kind":"Performer","name":"performer-%06d","uid":"0d3c8b46-2a0b-4b8b-9a5e-%012d","controller":true,"blockOwnerDeletion":true}]},"spec":{"nodeName":"%s","schedulerName":"callboard-scheduler","restartPolicy":"Always","serviceAccountName":"default","containers":[{"name":"performer","image":"registry.example.internal/platform/performer:v1.4.%d","ports":[{"name":"grpc","containerPort":9090,"protocol":"TCP"}],"env":[{"name":"MODE","value":"production"},{"name":"REGION","value":"eu-central-1"}],"resources":{"limits":{%s},"requests":{%s}},"readinessProbe":{"grpc":{"port":9090},"periodSeconds":5},"livenessProbe":{"grpc":{"port":9090},"periodSeconds":10},"volumeMounts":[{"name":"token","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],"volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt"}}]}}],"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-11-20T10:00:05Z"}],"podIP":"10.1.2.3","startTime":"2026-11-20T10:00:00Z"}}`,
		id, id%50, id, version, id, id, annotations, id, id, nodeName(node), id%100, limits, limits)
}

func newCluster(nodes, pods int) (*cluster, error) {
	c := &cluster{
		nodes:   collection{kind: "Node", api: "v1"},
		pods:    collection{kind: "Pod", api: "v1", watchers: map[chan []byte]struct{}{}},
		leases:  collection{kind: "Lease", api: "coordination.k8s.io/v1", watchers: map[chan []byte]struct{}{}},
		version: 1,
		ended:   make(chan struct{}),
	}
	for i := range nodes {
		c.names = append(c.names, nodeName(i))
		c.nodes.objects = append(c.nodes.objects, makeNode(i))
		c.leases.objects = append(c.leases.objects, makeLease(i, 1))
	}
	for i := range pods {
		c.pods.objects = append(c.pods.objects, makePod(i, i%nodes, i/nodes, 1))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.listener = listener
	c.url = "http://" + listener.Addr().String()
	c.server = &http.Server{Handler: c.handler()}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

func (c *cluster) close() {
	close(c.ended)
	_ = c.server.Close()
}

// change tells the watches of a collection of an event.
func (c *cluster) change(of *collection, kind string, object []byte) {
	event := fmt.Appendf(nil, `{"type":"%s","object":%s}`+"\n", kind, object)
	for watcher := range of.watchers {
		select {
		case watcher <- event:
		default: // it is far behind, and lists again
			close(watcher)
			delete(of.watchers, watcher)
		}
	}
}

// every does it so often a second, with a number that grows.
func (c *cluster) every(perSecond int, do func(i int)) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-c.ended:
			return
		case <-tick.C:
		}
		c.mutex.Lock()
		do(i)
		c.mutex.Unlock()
	}
}

// begin lets pods end and others take their places, as many as a busy kube-scheduler places, and renews the Leases of
// the nodes every ten seconds, as kubelets do.
func (c *cluster) begin() {
	const pods, renewal = 270, 10
	if c.begun || len(c.pods.objects) == 0 {
		return
	}
	c.begun = true
	nodes := len(c.names)
	go c.every(pods, func(i int) {
		n := i % len(c.pods.objects)
		c.version += 2
		c.change(&c.pods, "DELETED", makePod(n, n%nodes, n/nodes, c.version-1))
		c.change(&c.pods, "ADDED", makePod(n, n%nodes, n/nodes, c.version))
	})
	go c.every(nodes/renewal, func(i int) {
		c.version++
		c.change(&c.leases, "MODIFIED", makeLease(i%nodes, c.version))
	})
}

func (c *cluster) next() string {
	c.version++
	return strconv.Itoa(c.version)
}
