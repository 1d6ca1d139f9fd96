// Package redistest starts the real Redis servers that the adapter's tests need: one, its replica, Sentinels, a Cluster.
//
//	server := redistest.Start(t)
//	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
//
// Package affinitytest does the same for the gateway, and more. It is not used here because a module requires whatever
// its tests import, and whoever uses the adapter would find the gateway among what it needs.
package redistest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server of one test on a loopback port of its own, without persistence unless its arguments ask for
// it. Its methods fail the test where they cannot do what they say, and are for one goroutine at a time. It is killed when
// the test ends.
type Server struct {
	t       testing.TB
	dir     string
	port    int
	command func(s *Server) []string // its arguments
	cmd     *exec.Cmd
	log     *bytes.Buffer
	done    chan struct{} // closed when cmd has ended
}

// Start starts redis-server with args in addition and returns when it answers. A machine without redis-server fails the
// test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return launch(t, func(s *Server) []string {
		return append([]string{
			"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
		}, args...)
	})
}

func launch(t testing.TB, command func(s *Server) []string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), command: command}
	t.Cleanup(s.Kill)
	// Another process may take the port between our look and the server's: then the server ends, and we look again.
	for range 5 {
		s.port = freePort(t)
		if s.start() {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %s", s.log)
	return nil
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port returns the port.
func (s *Server) Port() int { return s.port }

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	if s.done != nil {
		_ = s.cmd.Process.Kill() // it may have ended by itself
		<-s.done
	}
}

// Pause stops the process with SIGSTOP: the kernel still accepts connections, and nothing answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Restart kills the process, if it runs, and starts it again on the same port and folder.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	Eventually(s.t, "redis-server on its old port", s.start)
}

// Do runs one command and returns its answer as text.
func (s *Server) Do(args ...any) string {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	text, err := c.Do(s.t.Context(), args...).Text()
	if err != nil {
		s.t.Fatalf("redis-server: %v: %v", args[0], err)
	}
	return text
}

func (s *Server) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
}

// start reports whether the server runs and answers; one that ends at once has found its port taken.
func (s *Server) start() bool {
	s.t.Helper()
	s.log = new(bytes.Buffer)
	s.cmd = exec.Command("redis-server", s.command(s)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, s.log, s.log
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("this test needs the program redis-server (Debian: apt-get install redis-server): %v", err)
	}
	done := make(chan struct{})
	s.done = done
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // its log says how it ended
		close(done)
	}(s.cmd)
	c := s.client()
	defer c.Close()
	Eventually(s.t, "redis-server answers", func() bool { return s.ended() || c.Ping(s.t.Context()).Err() == nil })
	return !s.ended()
}

func (s *Server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("redis-server: %v", err)
	}
}

// freePort returns a loopback port that was free a moment ago, and whose port + 10,000, a Cluster's bus, is a port.
func freePort(t testing.TB) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port+10_000 < 1<<16 {
			return port
		}
	}
}

// patience bounds waits for what must happen; it is not a measure of how fast it should.
const patience = 30 * time.Second

// Eventually calls ok until it returns true. It fails the test, saying what it waited for, when that takes very long.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
