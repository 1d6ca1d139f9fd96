//go:build linux

package client

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/app"
)

// process is clients of the reference library.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	said strings.Builder // stderr; read when the process has ended

	mu  sync.Mutex // a question and its answer
	out *bufio.Reader
}

func startReal(r *Running, name string, real Real) (*process, error) {
	root, err := app.Root()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	seed := r.rng.Uint32()
	r.mu.Unlock()
	config, err := json.Marshal(map[string]any{
		"name": name, "file": filepath.Join(r.crowd.Dir, "client-"+name+".jsonl"), "library": real.Library, "modes": real.Modes,
		"fronts": r.crowd.Fronts, "pace": r.crowd.Pace.Milliseconds(), "seed": seed,
	})
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command("node", filepath.Join(root, "bench/checker/client/real.mjs"), string(config))}
	p.cmd.Stderr = &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the checker
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("client: %s: %w", name, err)
	}
	return p, nil
}

// ask sends a command and decodes its answer.
func (p *process) ask(line map[string]any, into any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := json.NewEncoder(p.in).Encode(line)
	if err == nil {
		var answer []byte
		if answer, err = p.out.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(answer, into)
		}
	}
	if err != nil {
		p.kill()
		return fmt.Errorf("client: %s: %w: %v\n%s", p.name, err, p.cmd.ProcessState, p.said.String())
	}
	return nil
}

func (p *process) stop(patience time.Duration) error {
	return p.ask(map[string]any{"cmd": "stop", "patience": patience.Milliseconds()}, &struct{}{})
}

// kill ends the process, if it has not ended, and waits for it.
func (p *process) kill() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
