package hostile

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// client keeps a connection.
type client struct {
	connection net.Conn
	reader     *bufio.Reader
}

func newClient(connection net.Conn) *client {
	return &client{connection, bufio.NewReader(connection)}
}

func (c *client) ask(body []byte) (answer, error) {
	return askAgain(c.connection, c.reader, body)
}

func TestWrongPathsAndMethodsAreRefused(t *testing.T) {
	survive(t)
	const end = " HTTP/1.1\r\nHost: webhook\r\nContent-Length: 0\r\n\r\n"
	for request, code := range map[string]int{
		"GET /mutate" + end:                              http.StatusMethodNotAllowed,
		"PUT /mutate" + end:                              http.StatusMethodNotAllowed,
		"DELETE /mutate" + end:                           http.StatusMethodNotAllowed,
		"BREW /mutate" + end:                             http.StatusMethodNotAllowed,
		"GET /" + end:                                    http.StatusNotFound,
		"GET /metrics" + end:                             http.StatusNotFound,
		"POST /mutate/" + end:                            http.StatusNotFound,
		"POST //mutate" + end:                            http.StatusNotFound,
		"POST /../mutate" + end:                          http.StatusNotFound,
		"POST /mutate%00" + end:                          http.StatusBadRequest,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\n\r\n": http.StatusLengthRequired,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: gzip\r\n\r\n":                          http.StatusNotImplemented,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0": http.StatusBadRequest,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}":         http.StatusBadRequest,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: -1\r\n\r\n":                               http.StatusBadRequest,
		"POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 99999999999999999999999\r\n\r\n":          http.StatusRequestEntityTooLarge,
	} {
		a := send(t, []byte(request))
		if a.code != code {
			t.Errorf("%q: %v, want %d", request, a, code)
		}
		// A length that is no number is refused by the library, before anybody is asked.
		if a.message == "" && !strings.Contains(request, "Content-Length: -1") && !strings.Contains(request, "9999999999") {
			t.Errorf("%q: no reason: %v", request, a)
		}
		if code == http.StatusMethodNotAllowed && a.header.Get("Allow") != "POST" {
			t.Errorf("%q: Allow: %q", request, a.header.Get("Allow"))
		}
	}
}

func TestWhatIsNoHTTPIsRefused(t *testing.T) {
	survive(t)
	for _, request := range []string{
		"\r\n\r\n", "x\r\n\r\n", "POST\r\n\r\n", "POST /mutate\r\n\r\n", "POST /mutate HTTP/9.9\r\nHost: a\r\n\r\n",
		"POST /mutate HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("A", 100000),
		"GET /" + strings.Repeat("a", 100000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 100000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "\x00\x01\x02\x03\r\n\r\n",
		"POST /mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST /mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
		"POST /mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"POST /mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}X",
	} {
		connection := dial(t)
		_ = connection.SetDeadline(time.Now().Add(requestTimeout + grace))
		go func() {
			_, _ = connection.Write([]byte(request))
			// Some of it is not even the beginning of a request: no more will come.
			_ = connection.NetConn().(*net.TCPConn).CloseWrite()
		}()
		// The connection may be closed at once, where no answer would be understood.
		a, err := read(bufio.NewReader(connection))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.80q: neither answered nor closed", request)
		}
		if a.code != 0 && (a.code < 400 || a.code >= 600 || a.code == 500) {
			t.Errorf("%.80q: %v", request, a)
		}
	}
}

func TestABodyInChunksIsServed(t *testing.T) {
	survive(t)
	request := []byte("POST /mutate HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, b := range review() {
		request = fmt.Appendf(request, "1\r\n%c\r\n", b)
	}
	request = append(request, "0\r\n\r\n"...)
	if a := send(t, request); a.code != http.StatusOK || !a.allowed {
		t.Error(a)
	}
}

func TestAClientThatAsksBeforeItSendsIsServed(t *testing.T) {
	survive(t)
	connection := dial(t)
	reader := bufio.NewReader(connection)
	body := review()
	_ = connection.SetDeadline(time.Now().Add(grace))
	fmt.Fprintf(connection, "POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	line, err := reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write(body); err != nil {
		t.Fatal(err)
	}
	if a, err := read(reader); err != nil || !a.allowed {
		t.Error(a, err)
	}
}

func TestRequestsInOneStreamAreAnsweredInOrder(t *testing.T) {
	survive(t)
	connection := dial(t)
	_ = connection.SetDeadline(time.Now().Add(grace))
	var stream []byte
	for i := range 20 {
		stream = append(stream, post("/mutate", review("000000000001", fmt.Sprintf("%012d", i)))...)
	}
	go func() { _, _ = connection.Write(stream) }()
	reader := bufio.NewReader(connection)
	for i := range 20 {
		a, err := read(reader)
		if err != nil || !strings.Contains(string(a.body), fmt.Sprintf("%012d", i)) {
			t.Fatalf("answer %d: %v, %v", i, a, err)
		}
	}
}

// expectEnd waits until the server ends the connection.
func expectEnd(t *testing.T, connection net.Conn, within time.Duration) {
	t.Helper()
	began := time.Now()
	_ = connection.SetReadDeadline(began.Add(within))
	if _, err := io.Copy(io.Discard, connection); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Errorf("still open after %v", within)
		}
	}
	measured(t, "cut after %.1f s", time.Since(began).Seconds())
}

// drip sends a byte now and then until nobody listens any more.
func drip(connection net.Conn, text string) {
	for i := range text {
		if _, err := connection.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestSlowHeadersAreCut(t *testing.T) {
	survive(t)
	connection := dial(t)
	go drip(connection, "POST /mutate HTTP/1.1\r\nHost: webhook\r\n"+strings.Repeat("X-Slow: 1\r\n", 100))
	expectEnd(t, connection, headerTimeout+grace)
}

func TestASlowBodyIsCut(t *testing.T) {
	survive(t)
	connection := dial(t)
	fmt.Fprint(connection, "POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 10000\r\n\r\n")
	go drip(connection, strings.Repeat(" ", 1000))
	expectEnd(t, connection, requestTimeout+grace)
}

func TestAHandshakeThatNeverEndsIsCut(t *testing.T) {
	survive(t)
	silent, half := dialPlain(t), dialPlain(t)
	if _, err := half.Write([]byte("\x16\x03\x01\x02\x00\x01")); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, silent, headerTimeout+grace)
	expectEnd(t, half, headerTimeout+grace)
}

func TestPlainHTTPOnTheTLSPortIsRefused(t *testing.T) {
	survive(t)
	for _, text := range []string{
		"GET /mutate HTTP/1.1\r\nHost: webhook\r\n\r\n", string(post("/mutate", review())), "SSH-2.0-client\r\n",
		strings.Repeat("\x00", 1000), "\x16\x03\x01\xff\xff" + strings.Repeat("\xff", 1000), "\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00",
	} {
		connection := dialPlain(t)
		if _, err := connection.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		_ = connection.SetReadDeadline(time.Now().Add(headerTimeout + grace))
		reply, err := io.ReadAll(connection)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Errorf("%.30q: still open", text)
		}
		if strings.Contains(string(reply), "HTTP/1.1 200") {
			t.Errorf("%.30q: %q", text, reply)
		}
		connection.Close()
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	survive(t)
	for version, good := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
		connection, err := tls.DialWithDialer(&net.Dialer{Timeout: grace}, "tcp", server.address, config)
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			connection.Close()
		}
	}
}

func TestAHalfClosedConnectionGetsItsAnswer(t *testing.T) {
	survive(t)
	connection := dial(t)
	_ = connection.SetDeadline(time.Now().Add(grace))
	if _, err := connection.Write(post("/mutate", review())); err != nil {
		t.Fatal(err)
	}
	if err := connection.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a, err := read(bufio.NewReader(connection)); err != nil || !a.allowed {
		t.Error(a, err)
	}
}

func TestClientsThatVanishAreForgotten(t *testing.T) {
	survive(t)
	request := post("/mutate", review())
	for i := range 300 {
		connection := dial(t)
		if _, err := connection.Write(request[:i*len(request)/300]); err != nil {
			t.Fatal(err)
		}
		// Half of them without a goodbye.
		tcp := connection.NetConn().(*net.TCPConn)
		if i%2 == 0 {
			_ = tcp.SetLinger(0)
		}
		tcp.Close()
	}
}
