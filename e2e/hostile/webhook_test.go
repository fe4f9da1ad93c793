// Package hostile talks to a real callboard-webhook as nobody should: bytes that are no reviews, clients
// that are slow on purpose, crowds of them. Whatever comes, the answer is a clear refusal, others are
// served meanwhile, the memory stays within its budget, and the process lives.
//
// One process serves all tests of a run, so that each finds it as the others have left it. WEBHOOK names
// the program.
package hostile

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	headerTimeout  = 2 * time.Second
	requestTimeout = 4 * time.Second
	// grace is for the clock that ticks once a second, and for a machine that has other things to do.
	grace = 4 * time.Second

	maxBody       = 7 << 20
	memoryBudget  = 64 << 20
	maxConnection = 1024
	// connectionMemory is what a connection with its TLS session holds; 34 KiB were measured.
	connectionMemory = 40 << 10
	// processMemory is what the process holds without any request, beside its connections.
	processMemory = 6 << 20
	// settled is what is left of the crowds: caches of threads, and pages that hold a block or two.
	settled = 12 << 20
)

// webhook is the running process.
type webhook struct {
	command  *exec.Cmd
	address  string // of the TLS port
	health   string
	readyIn  time.Duration
	finished chan error
}

var server *webhook

// makePair writes a certificate of its own to the folder.
func makePair(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "hostile"},
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: certificate},
		"tls.key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start runs the program and returns when its log says that it is ready, and on which ports.
func start(folder string, flags ...string) (*webhook, error) {
	w := &webhook{finished: make(chan error, 1)}
	flags = append([]string{"serve", "--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0", "--cert-dir=" + folder}, flags...)
	w.command = exec.Command(os.Getenv("WEBHOOK"), flags...)
	log, err := w.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for w.address == "" && lines.Scan() {
		var line struct {
			Message    string `json:"msg"`
			Port       int    `json:"port"`
			HealthPort int    `json:"healthPort"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Port != 0 {
			w.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(line.Port))
			w.health = net.JoinHostPort("127.0.0.1", strconv.Itoa(line.HealthPort))
		}
	}
	if w.address == "" {
		return nil, errors.New("the webhook did not start")
	}
	if code, err := w.get("/readyz"); code != http.StatusOK {
		return nil, fmt.Errorf("/readyz: %d, %v", code, err)
	}
	w.readyIn = time.Since(began)
	go func() {
		_, _ = io.Copy(io.Discard, log)
		w.finished <- w.command.Wait()
	}()
	return w, nil
}

// stop asks it to end and says whether it ended in order.
func (w *webhook) stop() error {
	if err := w.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-w.finished:
		return err
	case <-time.After(10 * time.Second):
		_ = w.command.Process.Kill()
		return errors.New("it did not end within 10 s")
	}
}

// get asks the health port, on a connection of its own.
func (w *webhook) get(path string) (int, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + w.health + path)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// status reads a value of /proc/PID/status, in bytes.
func (w *webhook) status(name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.command.Process.Pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			kilobytes, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kilobytes << 10
		}
	}
	return -1
}

// resetPeak makes VmHWM begin anew (proc(5), clear_refs).
func (w *webhook) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.command.Process.Pid), []byte("5"), 0)
}

// peakAnonymous is the most memory of its own that the process has held since resetPeak. The kernel
// keeps the peak of all resident memory only; its pages of files, which are given back under no
// pressure here, are no more at the peak than now.
func (w *webhook) peakAnonymous() int64 {
	return w.status("VmHWM") - w.status("RssFile")
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err = makePair(folder); err == nil {
		server, err = start(folder, flags()...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		return 1
	}
	code := m.Run()
	if err := server.stop(); err != nil && !ended {
		fmt.Fprintln(os.Stderr, "hostile: the webhook did not end in order:", err)
		return 1
	}
	return code
}

func flags() []string {
	return []string{
		"--header-timeout=" + headerTimeout.String(),
		"--request-timeout=" + requestTimeout.String(),
		fmt.Sprintf("--memory-budget=%d", memoryBudget),
		fmt.Sprintf("--max-body=%d", maxBody),
		fmt.Sprintf("--max-connections=%d", maxConnection),
		"--drain-delay=0s",
	}
}

// ended is set by the test that ends the process on purpose.
var ended bool

// survive is called first by each test: it checks at the end that the process is as well as before, and
// reports the memory that it took.
func survive(t *testing.T) {
	t.Helper()
	if err := server.resetPeak(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case err := <-server.finished:
			server.finished <- err
			t.Fatal("the webhook has ended:", err)
		default:
		}
		if code, err := server.get("/healthz"); code != http.StatusOK {
			t.Errorf("/healthz: %d, %v", code, err)
		}
		if answer := ask(t, "/mutate", review()); answer.code != http.StatusOK || !answer.allowed {
			t.Errorf("a good review is answered by %d %s", answer.code, answer.body)
		}
		expectPeak(t, memoryBudget+processMemory+maxConnection*connectionMemory)
	})
}

// expectPeak wants that no more memory than this was held since survive was called.
func expectPeak(t *testing.T, most int64) {
	t.Helper()
	peak := server.peakAnonymous()
	measured(t, "peak RssAnon %.1f MiB of %.1f MiB allowed", float64(peak)/(1<<20), float64(most)/(1<<20))
	if peak > most {
		t.Error("that is too much")
	}
}

// settle waits until what the last test took has been given back.
func settle(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for server.status("RssAnon") > settled {
		if time.Now().After(deadline) {
			t.Fatalf("%d MiB were not given back", server.status("RssAnon")>>20)
		}
		// The allocator gives back what is free when it is asked for something.
		if a := ask(t, "/mutate", review()); !a.allowed {
			t.Fatal(a)
		}
	}
	if err := server.resetPeak(); err != nil {
		t.Fatal(err)
	}
}

// measured prints a figure where the caller of the tests looks for it.
func measured(t *testing.T, format string, values ...any) {
	t.Helper()
	t.Logf("measured: "+format, values...)
}

// ---- Talking to it ----

var trust = &tls.Config{InsecureSkipVerify: true} // the pair is of our own making

func dial(t *testing.T) *tls.Conn {
	t.Helper()
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", server.address, trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// dialPlain is for those who do not speak TLS.
func dialPlain(t *testing.T) *net.TCPConn {
	t.Helper()
	connection, err := net.DialTimeout("tcp", server.address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection.(*net.TCPConn)
}

// answer is what came back.
type answer struct {
	code    int // 0: the connection was closed without an answer
	header  http.Header
	body    []byte
	message string // of a Status, or of the denial
	isJSON  bool   // a Status or an AdmissionReview
	allowed bool
}

// refused says whether it is a refusal with a reason.
func (a answer) refused() bool {
	return !a.allowed && a.message != "" && (a.code == http.StatusOK || (a.code >= 400 && a.code < 500))
}

func (a answer) String() string {
	return fmt.Sprintf("%d %.300s", a.code, a.body)
}

func read(reader *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{code: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return a, err
	}
	var body struct {
		Kind     string `json:"kind"`
		Message  string `json:"message"`
		Response struct {
			Allowed bool `json:"allowed"`
			Status  struct {
				Message string `json:"message"`
			} `json:"status"`
		} `json:"response"`
	}
	if json.Unmarshal(a.body, &body) == nil {
		a.isJSON = body.Kind == "Status" || body.Kind == "AdmissionReview"
		a.allowed = body.Response.Allowed
		a.message = body.Message + body.Response.Status.Message
	}
	return a, nil
}

// send writes raw bytes to a new connection and reads one answer; a connection that is closed instead is
// the zero answer.
func send(t *testing.T, request []byte) answer {
	t.Helper()
	connection := dial(t)
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(requestTimeout + grace))
	go func() { _, _ = connection.Write(request) }()
	a, err := read(bufio.NewReader(connection))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer to %.100q", request)
	}
	return a
}

// post makes the bytes of a request.
func post(path string, body []byte) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: webhook\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, len(body))
	return append([]byte(head), body...)
}

func ask(t *testing.T, path string, body []byte) answer {
	t.Helper()
	return send(t, post(path, body))
}

// askAgain asks on the caller's own connection.
func askAgain(connection net.Conn, reader *bufio.Reader, body []byte) (answer, error) {
	_ = connection.SetDeadline(time.Now().Add(requestTimeout + grace))
	if _, err := connection.Write(post("/mutate", body)); err != nil {
		return answer{}, err
	}
	return read(reader)
}

// ---- Reviews ----

// review is a good AdmissionReview; each change replaces its first text by the second, once.
func review(changes ...string) []byte {
	text := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
		"uid":"c8a3a5a0-0000-4000-8000-000000000001",
		"kind":{"group":"hourglass.eigenlayer.io","version":"v1alpha1","kind":"Performer"},
		"resource":{"group":"hourglass.eigenlayer.io","version":"v1alpha1","resource":"performers"},
		"operation":"CREATE","namespace":"default","name":"sample","userInfo":{"username":"alice"},
		"object":{"apiVersion":"hourglass.eigenlayer.io/v1alpha1","kind":"Performer",
			"metadata":{"name":"sample","namespace":"default"},
			"spec":{"avsAddress":"0x1","image":"registry.example/app:v1","resources":{"limits":{"memory":"1Gi"}}}},
		"dryRun":true}}`
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			panic("the review does not contain " + changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	return []byte(text)
}

// withSpec is a review whose spec has one more member, given as JSON.
func withSpec(member string) []byte {
	return review(`"avsAddress":"0x1"`, `"avsAddress":"0x1",`+member)
}

// repeat is `item` n times with commas between.
func repeat(item string, n int) string {
	var text bytes.Buffer
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(item)
	}
	return text.String()
}

// ---- The last tests ----

func TestMemoryIsGivenBack(t *testing.T) {
	survive(t)
	settle(t)
	measured(t, "RssAnon after all that %.1f MiB", float64(server.status("RssAnon"))/(1<<20))
}

// The figures of a process that nobody troubles.
func TestItIsReadyAtOnceAndSmall(t *testing.T) {
	folder := t.TempDir()
	if err := makePair(folder); err != nil {
		t.Fatal(err)
	}
	var ready []time.Duration
	var anonymous, resident int64
	for range 10 {
		w, err := start(folder, "--drain-delay=0s")
		if err != nil {
			t.Fatal(err)
		}
		ready = append(ready, w.readyIn)
		anonymous, resident = max(anonymous, w.status("RssAnon")), max(resident, w.status("VmRSS"))
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(ready)
	measured(t, "start to ready: best %.1f ms, median %.1f ms, worst %.1f ms of %d",
		ms(ready[0]), ms(ready[len(ready)/2]), ms(ready[len(ready)-1]), len(ready))
	measured(t, "idle: RssAnon %.1f MiB, VmRSS %.1f MiB", float64(anonymous)/(1<<20), float64(resident)/(1<<20))
	if ready[len(ready)/2] > 100*time.Millisecond {
		t.Error("it is not ready within 100 ms")
	}
	if anonymous > 6<<20 || resident > 20<<20 {
		t.Error("it is not small")
	}
}

func ms(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

func TestItEndsInOrder(t *testing.T) {
	ended = true
	if err := server.stop(); err != nil {
		t.Error(err)
	}
}
