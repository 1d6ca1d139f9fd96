package adapter_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/adapter/internal/binjson"
)

// patienceLimit ends a wait that will not be over; no test is fast or slow by it.
const patienceLimit = 20 * time.Second

// proc is another process that is driven by lines of JSON: testdata/server.mjs, testdata/clients.mjs or gonode.
type proc struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	port int
	name string

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every line
	next    int
	answers map[int]chan line
	events  map[string][]event // by client
	ready   bool
	ended   bool
	quiet   bool // its death is expected
	said    bytes.Buffer
}

// line is what a process says.
type line struct {
	ID     int    `json:"id"`
	Value  any    `json:"value"`
	Error  string `json:"error"`
	Ready  bool   `json:"ready"`
	Port   int    `json:"port"`
	Client string `json:"client"`
	event
}

// event is what a client received.
type event struct {
	Name string `json:"event"`
	Args []any  `json:"args"`
}

// startProc starts a process and returns when it is ready.
func startProc(t *testing.T, name string, args ...string) *proc {
	t.Helper()
	p := launchProc(t, name, args...)
	p.until("ready", func() bool { return p.ready })
	return p
}

func launchProc(t *testing.T, name string, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, name: name, changed: make(chan struct{}), answers: map[int]chan line{}, events: map[string][]event{}}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stderr = &p.said
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("this test needs the program %s: %v", args[0], err)
	}
	p.in = in
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(out)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = p.cmd.Process.Kill()
		<-read
		_ = p.cmd.Wait()
		if t.Failed() && !p.quiet {
			t.Logf("%s said: %.2000s", name, p.said.String())
		}
	})
	return p
}

func (p *proc) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			fmt.Fprintf(os.Stderr, "%s says: %s\n", p.name, lines.Text())
			continue
		}
		p.mu.Lock()
		switch {
		case l.Ready:
			p.ready, p.port = true, l.Port
		case l.Client != "":
			p.events[l.Client] = append(p.events[l.Client], event{l.Name, binjson.Unpack(l.Args).([]any)})
		case p.answers[l.ID] != nil:
			p.answers[l.ID] <- l
			delete(p.answers, l.ID)
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	close(p.changed)
	p.changed = make(chan struct{})
}

// until waits for ok, which is asked with p.mu held whenever the process has said something.
func (p *proc) until(what string, ok func() bool) {
	p.t.Helper()
	if !p.within(patienceLimit, ok) {
		p.t.Fatalf("%s: %s did not happen", p.name, what)
	}
}

func (p *proc) within(limit time.Duration, ok func() bool) bool {
	end := time.After(limit)
	for {
		p.mu.Lock()
		fine, ended, changed := ok(), p.ended, p.changed
		p.mu.Unlock()
		if fine {
			return true
		}
		if ended {
			return false
		}
		select {
		case <-changed:
		case <-end:
			return false
		}
	}
}

// send asks without waiting.
func (p *proc) send(target map[string]any, method string, args ...any) chan line {
	p.t.Helper()
	p.mu.Lock()
	p.next++
	id := p.next
	c := make(chan line, 1)
	p.answers[id] = c
	p.mu.Unlock()
	if args == nil {
		args = []any{}
	}
	if target == nil {
		target = map[string]any{}
	}
	b, err := json.Marshal(map[string]any{"id": id, "target": target, "method": method, "args": binjson.Pack(args)})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		c <- line{Error: err.Error()}
	}
	return c
}

// try asks and returns the answer or its error.
func (p *proc) try(target map[string]any, method string, args ...any) (any, error) {
	p.t.Helper()
	select {
	case l := <-p.send(target, method, args...):
		if l.Error != "" {
			return nil, fmt.Errorf("%s", l.Error)
		}
		return binjson.Unpack(l.Value), nil
	case <-time.After(patienceLimit):
		return nil, fmt.Errorf("%s: no answer to %s", p.name, method)
	}
}

// do asks and fails the test on an error.
func (p *proc) do(target map[string]any, method string, args ...any) any {
	p.t.Helper()
	v, err := p.try(target, method, args...)
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, method, err)
	}
	return v
}

// got lists what a client has received of one event, as the lists of arguments.
func (p *proc) got(client, name string) [][]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gotLocked(client, name)
}

func (p *proc) gotLocked(client, name string) [][]any {
	list := [][]any{}
	for _, e := range p.events[client] {
		if e.Name == name {
			list = append(list, e.Args)
		}
	}
	return list
}

// await waits until a client has received an event n times.
func (p *proc) await(client, name string, n int) [][]any {
	p.t.Helper()
	p.until(fmt.Sprintf("%s receives %d of %s", client, n, name), func() bool { return len(p.gotLocked(client, name)) >= n })
	return p.got(client, name)
}

func (p *proc) url() string { return "http://127.0.0.1:" + strconv.Itoa(p.port) }

// goNodeDir holds the built gonode, once there is one.
var goNodeDir string

// goNode is the path of the built gonode.
var goNode = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gonode")
	if err != nil {
		return "", err
	}
	goNodeDir = dir
	cmd := exec.Command("go", "build", "-o", dir, "./internal/gonode")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir + "/gonode", nil
})

// serverSpec is a Socket.IO server: its language (go, node, or recovery: node with @sidway/recovery), adapter, Redis, prefix and further options in JSON.
type serverSpec struct {
	language, kind  string
	port            int
	prefix, options string
}

// startServer starts a Socket.IO server, in Go or in Node.
func startServer(t *testing.T, s serverSpec) *proc {
	t.Helper()
	if s.options == "" {
		s.options = "{}"
	}
	args := []string{s.kind, strconv.Itoa(s.port), s.prefix, s.options}
	switch s.language {
	case "node":
		return startProc(t, s.language, append([]string{"node", "testdata/server.mjs"}, args...)...)
	case "recovery":
		args[0] = s.language
		return startProc(t, s.language, append([]string{"env", "RECOVERY=" + installedRecovery(t), "node", "testdata/server.mjs"}, args...)...)
	}
	path, err := goNode()
	if err != nil {
		t.Fatal(err)
	}
	return startProc(t, s.language, append([]string{path}, args...)...)
}

func startClients(t *testing.T) *proc {
	t.Helper()
	return startProc(t, "clients", "node", "testdata/clients.mjs")
}
