//go:build linux

package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds each wait for a program; it is reached only when something is broken.
const patience = time.Minute

// A Process is a program on a host, which can be started again after it has ended. It ends at the latest with its host. Its
// methods are for one goroutine at a time.
type Process struct {
	Name string
	Host *Host

	argv  []string
	env   []string
	log   string // file of what it says
	port  int    // where it accepts
	cmd   *exec.Cmd
	ended chan struct{}
}

// Addr is host:port.
func (p *Process) Addr() string { return at(p.Host.Addr, p.port) }

func at(addr netip.Addr, port int) string {
	return net.JoinHostPort(addr.String(), strconv.Itoa(port))
}

// Start starts the program and returns when it accepts connections.
func (p *Process) Start(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir = filepath.Dir(p.log)
	cmd.Stdout, cmd.Stderr = log, log
	// The thread that starts it is the host's, and lives as long as that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.Host.do(func() { err = cmd.Start() })
	if err != nil {
		return fmt.Errorf("stage: %s: %w", p.Name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in the log
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	return p.await(ctx, "it accepts", func() bool {
		c, err := net.DialTimeout("tcp", p.Addr(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// await waits until the condition holds, and no longer than the process lives.
func (p *Process) await(ctx context.Context, want string, holds func() bool) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for !holds() {
		select {
		case <-p.ended:
			return fmt.Errorf("stage: %s ended: %v\n%s", p.Name, p.cmd.ProcessState, p.Said())
		case <-ctx.Done():
			return fmt.Errorf("stage: %s: not reached that %s: %w\n%s", p.Name, want, ctx.Err(), p.Said())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("stage: %s: %w", p.Name, err)
	}
	return nil
}

// Kill ends the process and those that it has started, if they have not ended, and returns when it is gone.
func (p *Process) Kill() error {
	if p.cmd == nil {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stage: %s: %w", p.Name, err)
	}
	<-p.ended
	return nil
}

// Exit waits until the process has ended by itself.
func (p *Process) Exit(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stage: %s does not end: %w", p.Name, ctx.Err())
	}
}

// Running tells whether the process has been started and has not ended.
func (p *Process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Said is the end of what the process has said.
func (p *Process) Said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-4000):]))
}
