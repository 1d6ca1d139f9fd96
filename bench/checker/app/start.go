//go:build linux

package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Process is a node that runs on this machine, on all of its addresses.
type Process struct {
	Address string // on 127.0.0.1
	Port    int
	cmd     *exec.Cmd
	said    strings.Builder
}

// Start starts a node and returns when it accepts. It dies with the thread that has started it, at the latest.
func Start(o Options, name string) (*Process, error) {
	program, err := Node(o)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(program.Argv[0], program.Argv[1:]...)}
	p.cmd.Env = append(append(os.Environ(), program.Env...), "NODE_NAME="+name, "HOST=0.0.0.0")
	p.cmd.Stderr = &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // an interrupt at the terminal is for the checker
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	var ready struct{ Port int }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("app: %s: %w: %v\n%s", name, err, p.cmd.ProcessState, p.said.String())
	}
	p.Port = ready.Port
	p.Address = fmt.Sprint("127.0.0.1:", ready.Port)
	return p, nil
}

// Kill ends the node, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
