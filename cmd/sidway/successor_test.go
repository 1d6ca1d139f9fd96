package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
)

// family is sidway and its successors, which share a log.
type family struct {
	*process
	program string   // a link to what is started next
	said    []string // lines that expectSuccessor has read
}

// startFamily starts sidway by a link to this program.
func startFamily(t *testing.T, env []string, args ...string) *family {
	t.Helper()
	f := &family{program: filepath.Join(t.TempDir(), "sidway")}
	f.become(t, "")
	f.process = startCommand(t, env, f.program, args...)
	f.expect(t, "msg=serving")
	return f
}

// become has the next successor be a shell's script, or sidway.
func (f *family) become(t *testing.T, script string) {
	t.Helper()
	next := f.program + ".new"
	err := os.Symlink(os.Args[0], next)
	if script != "" {
		err = errors.Join(os.Remove(next), os.WriteFile(next, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	if err = errors.Join(err, os.Rename(next, f.program)); err != nil {
		t.Fatal(err)
	}
}

var successorID = regexp.MustCompile(` successor=(\d+)`)

// succeed has a process hand over, and returns its successor.
func (f *family) succeed(t *testing.T, pid int) (successor int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	return f.expectSuccessor(t)
}

// expectSuccessor reads the log until both processes have told of the takeover, in whatever order, and the older of more.
func (f *family) expectSuccessor(t *testing.T, more ...string) (successor int) {
	t.Helper()
	missing := append([]string{"the successor serves", "msg=serving"}, more...)
	for len(missing) > 0 && f.log.Scan() {
		line := f.log.Text()
		f.said = append(f.said, line)
		if strings.Contains(line, "no successor has taken over") && strings.Contains(line, "not ready in time") { // on a busy machine
			f.signal(t, syscall.SIGUSR2)
		}
		missing = slices.DeleteFunc(missing, func(words string) bool { return strings.Contains(line, words) })
		if id := successorID.FindStringSubmatch(line); id != nil {
			successor, _ = strconv.Atoi(id[1])
			t.Cleanup(func() { syscall.Kill(successor, syscall.SIGKILL) })
		}
	}
	if len(missing) > 0 {
		t.Fatalf("%q were never logged", missing)
	}
	return successor
}

// polling is a client that connects anew for each request.
type polling struct {
	t   *testing.T
	url string
}

func openPolling(t *testing.T, listen string) *polling {
	t.Helper()
	url := "http://" + listen + "/socket.io/?EIO=4&transport=polling"
	_, body := get(t, url)
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(body)
	if sid == nil {
		t.Fatalf("no session: %s", body)
	}
	return &polling{t, url + "&sid=" + sid[1]}
}

// echoes says something, and demands that the node echoes it.
func (p *polling) echoes(text string) {
	p.t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Post(p.url, "text/plain", strings.NewReader("4"+text))
	if err != nil {
		p.t.Fatal(err)
	}
	res.Body.Close()
	if status, body := get(p.t, p.url); res.StatusCode != 200 || status != 200 || !strings.Contains(body, text) {
		p.t.Fatalf("said %q: got %d, and %d %q", text, res.StatusCode, status, body)
	}
}

func openWebSocket(t *testing.T, listen string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+listen+"/socket.io/?EIO=4&transport=websocket", nil)
	if err == nil {
		_, _, err = c.Read(ctx) // the open packet
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// echo says something on a WebSocket, and returns what the node echoes.
func echo(t *testing.T, c *websocket.Conn, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("4"+text)); err != nil {
		return "", err
	}
	_, b, err := c.Read(ctx)
	return string(b), err
}

// connecting connects anew all the time, by TCP or a Unix socket, and asks for an answer, until the function that is returned is called, which demands
// that none has failed and returns how many there were.
func connecting(t *testing.T, network, address string) (end func() int64) {
	ctx, cancel := context.WithCancel(t.Context())
	done, count := make(chan error, 1), atomic.Int64{}
	go func() {
		for tick := time.NewTicker(3 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-tick.C:
			}
			if err := connect(network, address); err != nil {
				done <- fmt.Errorf("connect %d: %w", count.Load(), err)
				return
			}
			count.Add(1)
		}
	}()
	return func() int64 {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return count.Load()
	}
}

func connect(network, address string) error {
	c, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	b, err := io.ReadAll(c)
	if err == nil && !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
		err = fmt.Errorf("answered %q", b)
	}
	return err
}

// Three upgrades refuse and reset no connection, polling sessions go on, also those that a later process has made and that come by a
// connection that an earlier one has kept, and WebSockets stay where they are.
func TestSuccessorsRefuseNobody(t *testing.T) {
	node, listen, path := engineiotest.Start(t, engineiotest.Options{}), free(t), filepath.Join(t.TempDir(), "s")
	f := startFamily(t, []string{"SIDWAY_SHUTDOWN_NOTICE=1h", "SIDWAY_SHUTDOWN_DEADLINE=5m"},
		"serve", "--admin", "off", "--node", node.URL(), "--listen", listen+",unix:"+path)
	tcp, unix := connecting(t, "tcp", listen), connecting(t, "unix", path)
	polls, socket := openPolling(t, listen), openWebSocket(t, listen)
	kept := http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer kept.CloseIdleConnections()
	says := func(c *http.Client, url, text string) {
		t.Helper()
		res, err := c.Post(url, "text/plain", strings.NewReader("4"+text))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, _ := io.ReadAll(res.Body); res.StatusCode != 200 {
			t.Fatalf("%s: got %d %s", text, res.StatusCode, b)
		}
	}
	says(&kept, polls.url, "kept")
	polls.echoes("kept")
	pid := f.cmd.Process.Pid
	for n := range 3 {
		pid = f.succeed(t, pid)
		polls.echoes(fmt.Sprint("poll ", n))
		if text, err := echo(t, socket, fmt.Sprint("frame ", n)); err != nil || text != fmt.Sprint("4frame ", n) {
			t.Fatalf("the WebSocket: %q, %v", text, err)
		}
	}
	says(&kept, openPolling(t, listen).url, "by the connection that the first process has kept")
	if n := min(tcp(), unix()); n < 20 {
		t.Errorf("only %d connects", n)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	syscall.Kill(f.cmd.Process.Pid, syscall.SIGKILL)
	if text, err := echo(t, socket, "end"); err == nil {
		t.Errorf("the WebSocket was at another process: %q", text)
	}
	polls.echoes("end")
}

// A WebSocket ends when the deadline comes, in order, and its process with it. Files of Unix sockets are the successor's.
func TestAPredecessorEndsAtItsDeadline(t *testing.T) {
	node, listen, path := engineiotest.Start(t, engineiotest.Options{}), free(t), filepath.Join(t.TempDir(), "s")
	f := startFamily(t, []string{"SIDWAY_SHUTDOWN_NOTICE=1h", "SIDWAY_SHUTDOWN_DEADLINE=2s", "SIDWAY_SHUTDOWN_WAVES=1"},
		"serve", "--admin", "off", "--node", node.URL(), "--listen", listen+",unix:"+path)
	socket := openWebSocket(t, listen)
	successor := f.succeed(t, f.cmd.Process.Pid)
	began := time.Now()
	if _, _, err := socket.Read(t.Context()); err == nil || time.Since(began) < time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	f.expect(t, "msg=\"stopped, a successor serves")
	if state, err := f.cmd.Process.Wait(); err != nil || !state.Success() {
		t.Error(state, err)
	}
	if err := errors.Join(connect("unix", path), connect("tcp", listen)); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(successor, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "msg=stopped")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the last one has left its socket: %v", err)
	}
}

// A successor that fails in whatever way changes nothing, is counted, and is no hindrance for the next one.
func TestASuccessorThatFailsChangesNothing(t *testing.T) {
	node, file := engineiotest.Start(t, engineiotest.Options{}), filepath.Join(t.TempDir(), "sidway.yaml")
	listen, admin, path := free(t), free(t), filepath.Join(t.TempDir(), "s")
	write := func(more string) {
		text := fmt.Sprintf("listen: [%q, %q]\nadmin: {listen: %q}\nclusters:\n  - {name: chat, nodes: [{name: n1, url: %q}]%s\n", listen, "unix:"+path, admin, node.URL(), more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("}")
	f := startFamily(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "TEST_SUCCESSOR_TIME=1s"}, "serve", "--config", file)
	socket, polls, tcp, unix := openWebSocket(t, listen), openPolling(t, listen), connecting(t, "tcp", listen), connecting(t, "unix", path)
	fails := func(n int, why string) {
		t.Helper()
		f.signal(t, syscall.SIGUSR2)
		f.expect(t, "no successor has taken over")
		if line := f.log.Text(); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, why) {
			t.Errorf("logged %s, not %q", line, why)
		}
		polls.echoes("poll")
		if _, err := echo(t, socket, "frame"); err != nil {
			t.Error(err)
		}
		if status, body := get(t, "http://"+admin+"/readyz"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
		if _, body := get(t, "http://"+admin+"/metrics"); !strings.Contains(body, fmt.Sprintf("\nsidway_handovers_total{outcome=\"failed\"} %d\n", n)) {
			t.Errorf("%s is not counted", why)
		}
	}
	f.become(t, "exit 3")
	fails(1, "exit status 3")
	f.become(t, "exec sleep 1000")
	fails(2, "not ready in time")
	if err := os.Remove(f.program); err != nil {
		t.Fatal(err)
	}
	fails(3, "no such file")
	f.become(t, "")
	write(", discover: {dns: \"nobody.invalid:1\"}}")
	fails(4, "not ready in time: discover: cluster chat")
	write(", nonsense: true}")
	fails(5, "exit status 1")
	write("}")
	f.succeed(t, f.cmd.Process.Pid)
	polls.echoes("poll")
	if _, body := get(t, "http://"+admin+"/metrics"); !strings.Contains(body, "\nsidway_handovers_total{outcome=\"done\"} 1\n") {
		t.Error("the successor has counted nothing")
	}
	tcp()
	unix()
}

// Two signals at once are one successor.
func TestTwoSignalsAreOneSuccessor(t *testing.T) {
	node, listen := engineiotest.Start(t, engineiotest.Options{}), free(t)
	f := startFamily(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "SIDWAY_SHUTDOWN_DEADLINE=1s"}, "serve", "--admin", "off", "--node", node.URL(), "--listen", listen)
	f.signal(t, syscall.SIGUSR2)
	f.expect(t, "starting a successor")
	f.signal(t, syscall.SIGUSR2)
	successor := f.expectSuccessor(t, "stopped, a successor serves")
	if err := syscall.Kill(successor, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for f.log.Scan() {
		f.said = append(f.said, f.log.Text())
	}
	if all := strings.Join(f.said, "\n"); strings.Contains(all, "starting a successor") {
		t.Errorf("a second one is started:\n%s", all)
	}
}

// What operators have changed, and sessions, are known to the successor, whether there is a Redis or not.
func TestASuccessorKnowsDrainsAndSessions(t *testing.T) {
	for _, redis := range []string{"", affinitytest.StartRedis(t).URL()} {
		node, listen, admin := engineiotest.Start(t, engineiotest.Options{}), free(t), free(t)
		f := startFamily(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "SIDWAY_REDIS=" + redis, "SIDWAY_NODES=n1=" + node.URL()},
			"serve", "--listen", listen, "--admin", admin)
		polls := openPolling(t, listen)
		_, body := get(t, "http://"+admin+"/metrics")
		cluster := regexp.MustCompile(`sidway_node_draining\{cluster="(\w+)",node="n1"\} 0`).FindStringSubmatch(body)
		if cluster == nil {
			t.Fatal(body)
		}
		res, err := http.Post("http://"+admin+"/api/clusters/"+cluster[1]+"/nodes/n1/drain", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		f.succeed(t, f.cmd.Process.Pid)
		polls.echoes("poll")
		affinitytest.Eventually(t, "the successor drains n1, redis: "+redis, func() bool {
			_, body := get(t, "http://"+admin+"/metrics")
			return strings.Contains(body, strings.TrimSuffix(cluster[0], "0")+"1\n")
		})
	}
}
