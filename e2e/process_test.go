package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience bounds each wait of a test; it is reached only when something is broken.
const patience = 2 * time.Minute

// process is a child of the test. It is killed by its id when the test ends, and what it printed last is part of a failure.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan []byte // what it prints on stdout, line by line, when it speaks the line protocol
	said  *tail
	ended chan struct{}
}

// command says what to run: argv, what is added to the environment, and whether stdout carries the line protocol.
type command struct {
	name  string
	argv  []string
	env   []string
	talks bool
}

func start(t *testing.T, c command) *process {
	t.Helper()
	p := &process{name: c.name, said: &tail{}, lines: make(chan []byte, 1), ended: make(chan struct{})}
	p.cmd = exec.Command(c.argv[0], c.argv[1:]...)
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Stderr = p.said
	p.cmd.SysProcAttr = diesWithTest()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	go p.listen(out, c.talks)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s ended with %v, having said last:\n%s", p.name, p.cmd.ProcessState, p.said)
		}
	})
	return p
}

// listen reads stdout to its end and then waits for the process.
func (p *process) listen(out io.Reader, talks bool) {
	defer close(p.ended)
	if talks {
		for in := bufio.NewReader(out); ; {
			line, err := in.ReadBytes('\n')
			if err != nil {
				break
			}
			p.lines <- line
		}
	} else {
		_, _ = io.Copy(p.said, out)
	}
	close(p.lines)
	_ = p.cmd.Wait()
}

// hear decodes the next line that the process prints.
func (p *process) hear(t *testing.T, into any) {
	t.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			<-p.ended
			t.Fatalf("%s ended: %v", p.name, p.cmd.ProcessState)
		}
		if err := json.Unmarshal(line, into); err != nil {
			t.Fatalf("%s said %q: %v", p.name, line, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s said nothing for %v", p.name, patience)
	}
}

// tell sends a command of the line protocol; ask also decodes its answer.
func (p *process) tell(t *testing.T, line map[string]any) {
	t.Helper()
	if err := json.NewEncoder(p.in).Encode(line); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
}

func (p *process) ask(t *testing.T, line map[string]any, into any) {
	t.Helper()
	p.tell(t, line)
	p.hear(t, into)
}

// kill ends the process at once, if it has not ended, and waits until nothing is left of it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.in.Close()
	for range p.lines {
		continue
	}
	<-p.ended
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
}

// exit waits for the process to end by itself and returns its exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s did not end within %v", p.name, patience)
		return -1
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if over := len(b.text) - tailSize; over > 0 {
		b.text = append(b.text[:0], b.text[over:]...)
	}
	return len(p), nil
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// eventually waits until the condition holds; want names it in the failure.
func eventually(t *testing.T, want string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not reached: " + want)
		}
	}
}
