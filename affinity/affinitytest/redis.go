package affinitytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a real redis-server of one test, on a loopback port of its own, with a folder of its own, without
// persistence unless its arguments ask for it. Its methods fail the test where they cannot do what they say. They are
// for one goroutine at a time. When the test ends, the process is killed.
type Redis struct {
	t       testing.TB
	args    []string
	dir     string
	port    int
	command func(r *Redis) []string // all arguments of the process
	secure  bool                    // speaks TLS only
	cmd     *exec.Cmd
	log     *bytes.Buffer
	done    chan struct{} // closed when cmd has ended
}

// StartRedis starts redis-server with args in addition and returns when it answers. A machine without redis-server
// fails the test.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return launch(&Redis{t: t, args: args, command: serverCommand})
}

// launch starts r in a folder and on a port of its own.
func launch(r *Redis) *Redis {
	r.t.Helper()
	r.dir = r.t.TempDir()
	r.t.Cleanup(r.Kill)
	// Another process may take the port between our look and the server's: then the server ends, and we look again.
	for range 5 {
		r.port = freePort(r.t)
		if r.start() {
			return r
		}
	}
	r.t.Fatalf("redis-server does not start: %s", r.log)
	return nil
}

func serverCommand(r *Redis) []string {
	port := strconv.Itoa(r.port)
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no"}
	if r.secure {
		args = append(args, "--port", "0", "--tls-port", port)
	}
	return append(args, r.args...)
}

// Addr returns host:port.
func (r *Redis) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// Port returns the port.
func (r *Redis) Port() int { return r.port }

// URL returns the address as affinity.Open reads it.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Pid returns the process id.
func (r *Redis) Pid() int { return r.cmd.Process.Pid }

// Dir returns the folder in which the server works.
func (r *Redis) Dir() string { return r.dir }

// Client returns a patient client of the server, for looking into it beside the client under test. It is closed when
// the test ends.
func (r *Redis) Client() *redis.Client {
	c := r.connect()
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect returns a client that waits as long as a machine may be busy, and sends nothing twice.
func (r *Redis) connect() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: r.Addr(), Protocol: 2, DisableIdentity: true, PipelinePoolSize: -1,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, MaxRetries: -1,
	})
}

// Kill ends the process with SIGKILL and waits until it is gone. A process that has ended is left alone.
func (r *Redis) Kill() { r.end(syscall.SIGKILL) }

// Stop ends the process with SIGTERM, so that it saves what its arguments ask it to save.
func (r *Redis) Stop() { r.end(syscall.SIGTERM) }

// Pause stops the process with SIGSTOP: connections are still accepted by the kernel, nothing answers.
func (r *Redis) Pause() { r.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (r *Redis) Resume() { r.signal(syscall.SIGCONT) }

// Restart kills the process, if it runs, and starts it again on the same port and folder.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Kill()
	Eventually(r.t, "redis-server on its old port", r.start)
}

func (r *Redis) start() bool {
	r.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		r.t.Fatalf("this test needs the program redis-server (Debian: apt-get install redis-server): %v", err)
	}
	r.log, r.done = new(bytes.Buffer), make(chan struct{})
	r.cmd = exec.Command(path, r.command(r)...)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = r.dir, r.log, r.log
	r.cmd.SysProcAttr = dieWithParent()
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("redis-server: %v", err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // how it ended is told by the log
		close(done)
	}(r.cmd, r.done)
	return r.ready()
}

// ready waits until the server answers and reports false when it ended instead.
func (r *Redis) ready() bool {
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		select {
		case <-r.done:
			return false
		default:
		}
		if r.answers() {
			return true
		}
		wait(r.t)
	}
	r.t.Fatalf("redis-server does not answer: %s", r.log)
	return false
}

// answers reports whether the server replies to a PING with anything but "loading". It speaks plain text, so that
// it needs neither password nor client; a TLS port counts as ready when it accepts.
func (r *Redis) answers() bool {
	conn, err := net.DialTimeout("tcp", r.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if r.secure {
		return true
	}
	reply := make([]byte, 64)
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, err := conn.Read(reply)
	return err == nil && !bytes.HasPrefix(reply[:n], []byte("-LOADING"))
}

func (r *Redis) end(sig syscall.Signal) {
	if r.cmd == nil || r.cmd.Process == nil {
		return
	}
	_ = r.cmd.Process.Signal(sig) // it may have ended by itself
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	<-r.done
}

func (r *Redis) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Fatalf("redis-server: %v", err)
	}
}

// Do runs one command on the server and returns its answer as text.
func (r *Redis) Do(args ...any) string {
	r.t.Helper()
	c := r.connect()
	defer c.Close()
	v, err := c.Do(context.WithoutCancel(r.t.Context()), args...).Result()
	if err != nil {
		r.t.Fatalf("redis-server: %v: %v", args[0], err)
	}
	return fmt.Sprint(v)
}

// Calls returns how often the server has executed command, by INFO commandstats.
func (r *Redis) Calls(command string) int {
	r.t.Helper()
	return r.count("commandstats", "cmdstat_"+command+":calls=")
}

// Errors returns how many answers began with that code, such as NOPERM.
func (r *Redis) Errors(code string) int {
	r.t.Helper()
	return r.count("errorstats", "errorstat_"+code+":count=")
}

// count finds a number in a section of INFO.
func (r *Redis) count(section, name string) int {
	r.t.Helper()
	_, after, found := strings.Cut(r.Do("INFO", section), name)
	if !found {
		return 0
	}
	digits := after[:strings.IndexAny(after, ",\r")]
	n, err := strconv.Atoi(digits)
	if err != nil {
		r.t.Fatalf("redis-server: INFO %s: %v", section, err)
	}
	return n
}

// freePort returns a loopback port that was free a moment ago, and whose port + 10,000, a Cluster's bus, is a port.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
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
	t.Fatal("no free port below 55,536")
	return 0
}
