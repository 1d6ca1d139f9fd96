// Package main_test runs the demo as people do: the real binary with its child processes, the page's own client in Node
// and in headless Chromium.
//
// It needs node with the modules of package.json, chromium, redis-server, haproxy and the Go tool, and fails without them.
// The tag soak adds the run of two minutes with 50 users (make soak).
package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds each wait of a test; it is reached only when something is broken.
const patience = time.Minute

// buildDir holds the binary that the tests run; TestMain makes and removes it.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sidway-demo-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// binary builds the demo once, when the first test asks.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "demo")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// process is a child of the test that is ended by its id with the test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	said  *lockedLog
	lines chan string
	ended chan struct{}
	err   error
}

func start(t *testing.T, env []string, argv ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string, 64), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.said = &lockedLog{t: t}
	p.cmd.Stderr = p.said
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("this test needs %s: %v", argv[0], err)
	}
	go func() {
		defer close(p.ended)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 256<<20)
		for scan.Scan() {
			p.lines <- scan.Text()
		}
		close(p.lines)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// end signals the process and waits until it is gone.
func (p *process) end(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	_ = p.in.Close()
	for range p.lines {
		continue
	}
	<-p.ended
}

// line returns the next line that the process prints.
func (p *process) line() string {
	p.t.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			<-p.ended
			p.t.Fatalf("%s ended: %v", p.cmd.Args[0], p.err)
		}
		return line
	case <-time.After(patience):
		p.t.Fatalf("%s says nothing", p.cmd.Args[0])
	}
	return ""
}

// lockedLog passes what a process says to the test's log, until the test is over.
type lockedLog struct {
	t    *testing.T
	mu   sync.Mutex
	done bool
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if !l.done && l.t.Context().Err() == nil {
		l.t.Logf("%s", strings.TrimRight(string(b), "\n"))
	} else {
		l.done = true
	}
	return len(b), nil
}

// times counts how often the process has said something.
func (l *lockedLog) times(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

// demo is a running launcher.
type demo struct {
	*process
	url string
}

// startDemo starts the demo on a free port; redis is empty for the one inside.
func startDemo(t *testing.T, redis string, args ...string) *demo {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{path, "--listen", "127.0.0.1:0"}, args...)
	d := &demo{process: start(t, []string{"REDIS_URL=" + redis}, argv...)}
	// A killed launcher leaves its children to the kernel; one that is told to end waits for them.
	t.Cleanup(func() { d.end(syscall.SIGTERM) })
	line := d.line()
	_, address, ok := strings.Cut(line, "http://")
	if !ok {
		t.Fatalf("%q has no address", line)
	}
	d.url = "http://" + address
	return d
}

// users are scripted users of the chat; see testdata/users.mjs.
type users struct{ *process }

type usersConfig struct {
	URL     string `json:"url"`
	Users   int    `json:"users"`
	Rooms   int    `json:"rooms"`
	Polling int    `json:"polling"`
	Group   string `json:"group"`
}

func startUsers(t *testing.T, c usersConfig) *users {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return &users{start(t, nil, "node", "testdata/users.mjs", string(b))}
}

// do gives a command and decodes its answer, which comes when it is done.
func (u *users) do(cmd string, args map[string]any, into any) {
	u.t.Helper()
	line := map[string]any{"cmd": cmd}
	for k, v := range args {
		line[k] = v
	}
	if err := json.NewEncoder(u.in).Encode(line); err != nil {
		u.t.Fatal(err)
	}
	answer := u.line()
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		u.t.Fatalf("%s: %q: %v", cmd, answer, err)
	}
}

// eventually waits until the condition holds; want names it in the failure.
func eventually(t *testing.T, want string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not reached: " + want)
		}
	}
}
