package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds each wait; it is reached only when something is broken.
const patience = time.Minute

// atOnce has a process that looks for races end when it has ended, as any other does, and not a second later.
const atOnce = "GORACE=atexit_sleep_ms=0"

// TestMain lets the test's own binary be sidway, so that signals can be sent to a process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_IS_SIDWAY") == "1" {
		if limit, err := time.ParseDuration(os.Getenv("TEST_SUCCESSOR_TIME")); err == nil {
			successorTime = limit
		}
		main()
	}
	goleak.VerifyTestMain(m)
}

// process is sidway running by itself, with its log line by line.
type process struct {
	cmd    *exec.Cmd
	stderr io.ReadCloser
	log    *bufio.Scanner // of stderr
}

func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startCommand(t, env, os.Args[0], args...)
}

// startCommand starts a program that becomes sidway.
func startCommand(t *testing.T, env []string, program string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Env = append(os.Environ(), append(env, "TEST_IS_SIDWAY=1", atOnce)...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr, p.log = stderr, bufio.NewScanner(stderr)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		p.cmd.Wait()
	})
	return p
}

// expect reads the log up to a line with these words.
func (p *process) expect(t *testing.T, words string) {
	t.Helper()
	var said []string
	for p.log.Scan() {
		if said = append(said, p.log.Text()); strings.Contains(p.log.Text(), words) {
			return
		}
	}
	t.Fatalf("%q was never logged, but\n%s", words, strings.Join(said, "\n"))
}

// end waits until the process has ended.
func (p *process) end(t *testing.T) *os.ProcessState {
	t.Helper()
	for p.log.Scan() { // so that it never waits for us to read
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestServeUntilASignal(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "page of ", r.URL.Path)
	}))
	defer node.Close()
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		listen, admin := free(t), free(t)
		p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "SIDWAY_LOG_FORMAT=json"},
			"serve", "--node", node.URL, "--listen", listen, "--admin", admin, "--access-log")
		p.expect(t, `"msg":"serving"`)
		for url, want := range map[string]string{
			"http://" + listen + "/a":       "page of /a",
			"http://" + admin + "/healthz":  `{"status":"ok"}`,
			"http://" + admin + "/readyz":   `{"status":"ready"}`,
			"http://" + admin + "/metrics":  `sidway_log_lines_lost_total{log="access"} 0`,
			"http://" + admin + "/nonsense": `{"error":"not found"}`,
		} {
			if _, body := get(t, url); !strings.Contains(body, want) {
				t.Errorf("%s: got %s", url, body)
			}
		}
		p.signal(t, s)
		if state := p.end(t); state.ExitCode() != 0 {
			t.Errorf("%v: got %v", s, state)
		}
	}
}

// TestServeOutlivesTheReaderOfItsLog serves on, and ends well, when nobody reads its log any more.
func TestServeOutlivesTheReaderOfItsLog(t *testing.T) {
	listen, admin := free(t), free(t)
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"},
		"serve", "--node", "http://127.0.0.1:1", "--listen", listen, "--admin", admin, "--access-log")
	p.expect(t, "serving")
	p.stderr.Close()
	for range 3 {
		if status, _ := get(t, "http://"+listen+"/socket.io/?EIO=4&transport=polling&sid=unknown"); status != 400 {
			t.Errorf("got %d", status)
		}
	}
	p.signal(t, syscall.SIGTERM)
	if state := p.end(t); state.ExitCode() != 0 {
		t.Errorf("got %v", state)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	admin := free(t)
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=1h"}, "serve", "--node", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", admin)
	p.expect(t, "serving")
	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping")
	if status, body := get(t, "http://"+admin+"/readyz"); status != 503 {
		t.Errorf("still ready: %d %s", status, body)
	}
	p.signal(t, syscall.SIGTERM)
	status, ok := p.end(t).Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("got %v", p.cmd.ProcessState)
	}
}

// Ctrl-C in development: no balancer has to notice.
func TestAnInterruptEndsWithoutNotice(t *testing.T) {
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=1h"}, "serve", "--node", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "off")
	p.expect(t, "serving")
	p.signal(t, os.Interrupt)
	if state := p.end(t); state.ExitCode() != 0 {
		t.Errorf("got %v", state)
	}
}

// The settings are read again on SIGHUP and when the file has changed, and bad ones are refused whole.
func TestSettingsAreReadAgain(t *testing.T) {
	page := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	file, listen := filepath.Join(t.TempDir(), "sidway.yaml"), free(t)
	write := func(node, more string) {
		text := fmt.Sprintf("listen: %s\nadmin: {listen: off}\nclusters:\n  - {name: chat, nodes: [{name: n1, url: %q}]}\n%s", listen, node, more)
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(want string) {
		t.Helper()
		if status, body := get(t, "http://"+listen+"/"); status != 200 || body != want {
			t.Errorf("got %d %s, want %s", status, body, want)
		}
	}
	write(page("first"), "")
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s"}, "serve", "--config", file)
	p.expect(t, "msg=serving")
	answers("first")
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "nothing has changed")
	write(page("second"), "")
	p.expect(t, `msg="configuration reloaded" by="change of `)
	answers("second")
	write(page("third"), "limits: {queue: many}\n")
	p.expect(t, file+":5: limits.queue")
	answers("second")
	write(page("fourth"), "log: {format: json}\n")
	p.signal(t, syscall.SIGHUP)
	p.expect(t, `"msg":"configuration reloaded","by":`)
	answers("fourth")
	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping")
	if state := p.end(t); state.ExitCode() != 0 {
		t.Errorf("got %v", state)
	}
}

func TestServeSaysThatAnAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, nil, "serve", "--node", "http://127.0.0.1:1", "--admin", "off", "--listen", l.Addr().String())
	p.expect(t, l.Addr().String()+": bind: address already in use; something has this address already")
	if state := p.end(t); state.ExitCode() != 1 {
		t.Errorf("got %v", state)
	}
}
