//go:build linux

package rival

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a program may take until it accepts connections.
const patience = 15 * time.Second

// A Command is a program to be run for a while.
type Command struct {
	Name    string
	Argv    []string
	Dir     string // its log goes here
	Address string // host:port at which it will accept; empty if it accepts nowhere
}

// A Process is a running program with all the processes that it started itself: they are one process group.
type Process struct {
	name  string
	pid   int // of the first, and of the group
	log   string
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

// Start runs a command, and returns when it accepts connections. When ctx is done the whole group is killed; the caller
// has to call Stop in any case.
func Start(ctx context.Context, c Command) (*Process, error) {
	path := filepath.Join(c.Dir, c.Name+".log")
	log, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("rival: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = environment(c.Dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("rival: %s: %w", c.Name, err)
	}
	p := &Process{name: c.Name, pid: cmd.Process.Pid, log: path, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err := p.await(ctx, c.Address); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// await dials until somebody accepts.
func (p *Process) await(ctx context.Context, address string) error {
	if address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("rival: %s ended at once: %w\n%s", p.name, p.err, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("rival: %s does not accept at %s: %w\n%s", p.name, address, context.Cause(ctx), p.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop kills the group and waits for the end of its first process. It is not a graceful end: nothing is measured any
// more, and the next proxy waits for the machine. A process that ended before, by itself, is an error.
func (p *Process) Stop() error {
	select {
	case <-p.ended:
	default:
		err := syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.ended
		if !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return fmt.Errorf("rival: %s ended by itself: %w\n%s", p.name, p.err, p.Log())
}

// Log is the end of what the program printed.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// environment gives a program a home of its own, since Caddy keeps files there. What is set for Go's runtime (GOGC,
// GOMAXPROCS, GODEBUG) stays away, so that the programs in Go run with their own defaults.
func environment(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
}

// Addresses finds loopback addresses that nobody uses, below the ports that Linux gives to outgoing connections.
func Addresses(n int) ([]string, error) {
	var list []string
	for range 1000 {
		if len(list) == n {
			return list, nil
		}
		address := net.JoinHostPort("127.0.0.1", fmt.Sprint(12000+rand.IntN(20000)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer l.Close() // until all are found, so that none is found twice
		list = append(list, address)
	}
	return nil, errors.New("rival: no free ports between 12000 and 32000")
}
