// Package program is about the programs that are measured: it starts them, and reads their processor time and
// memory.
package program

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MakeCertificate writes tls.crt and tls.key, ECDSA P-256, and returns whom to trust.
func MakeCertificate(folder string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "bench"},
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: certificate},
		"tls.key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return roots, nil
}

// Server is a process under test.
type Server struct {
	Name     string
	Health   string // where metrics and readiness are; empty: it did not say
	Address  string
	Idle     int64 // RssAnon before the first request, bytes
	command  *exec.Cmd
	roots    *x509.CertPool
	finished chan error
}

// Start runs a program that logs a line of JSON with its port when it is ready.
func Start(ctx context.Context, name string, roots *x509.CertPool, program string, arguments ...string) (*Server, error) {
	s := &Server{Name: name, roots: roots, finished: make(chan error, 1)}
	s.command = exec.CommandContext(ctx, program, arguments...)
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = 10 * time.Second
	log, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	var said strings.Builder
	lines := bufio.NewScanner(log)
	for s.Address == "" && lines.Scan() {
		var line struct {
			Port       int `json:"port"`
			HealthPort int `json:"healthPort"`
		}
		fmt.Fprintln(&said, lines.Text())
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Port != 0 {
			s.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(line.Port))
			s.Health = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(line.HealthPort))
		}
	}
	if s.Address == "" {
		_ = s.command.Wait()
		return nil, fmt.Errorf("%s did not start:\n%s", program, said.String())
	}
	go func() {
		_, _ = io.Copy(io.Discard, log)
		s.finished <- s.command.Wait()
	}()
	s.Idle, err = s.Anonymous()
	return s, err
}

// Stop ends it; our programs drain no connections after SIGINT.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGINT)
	select {
	case <-s.finished:
	case <-time.After(10 * time.Second):
		_ = s.command.Process.Kill()
	}
}

// Dial opens a connection, its handshake done.
func (s *Server) Dial() (*tls.Conn, error) {
	return tls.Dial("tcp", s.Address, &tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1"})
}

// CPU is the time that the process has spent so far, in user and system mode.
func (s *Server) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses; the 14th and 15th are the times in ticks of 10 ms.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s: /proc/PID/stat has %d fields", s.Name, len(fields))
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Anonymous is the memory that is the process's own, RssAnon, in bytes.
func (s *Server) Anonymous() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "RssAnon:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no RssAnon in /proc/PID/status", s.Name)
}
