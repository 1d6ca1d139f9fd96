package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/sidway/sidway/demo/chat"
)

const (
	// pause is how long a process that ended stays away, so that people see that it is.
	pause = 2 * time.Second
	// farewell is how long a process may take to end when everything ends.
	farewell = 5 * time.Second
)

// process is one that is started again when it ends.
type process struct {
	name, kind string
	address    string // at which it takes connections
	admin      string // of a replica: its admin address
	argv, env  []string
	abrupt     bool // end kills it; otherwise it may end gracefully
	out        io.Writer
	log        *slog.Logger
	note       func(chat.Event)

	mu      sync.Mutex
	cmd     *exec.Cmd // nil while it does not run
	starts  int
	stopped bool // end was called since the last start
	drained bool
}

// nodeScript finds the Node variant beside the sources, since it is not in the binary.
func nodeScript() (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", errors.New("--node-js needs the program node")
	}
	for _, dir := range []string{".", "demo"} {
		script := filepath.Join(dir, "node", "server.mjs")
		if _, err := os.Stat(script); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "..", "node_modules", "@socket.io", "redis-streams-adapter")); err != nil {
			return "", errors.New("--node-js needs its modules: run npm ci at the top of the repository first")
		}
		return script, nil
	}
	return "", errors.New("--node-js needs demo/node/server.mjs: run it in the repository")
}

// freePorts finds addresses that nobody uses, below the ports that systems give to outgoing connections, so that none is
// taken while its process is away.
func freePorts(n int) ([]string, error) {
	var list []string
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", fmt.Sprint(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer l.Close() // until all are found, so that none is found twice
		if list = append(list, address); len(list) == n {
			return list, nil
		}
	}
	return nil, errors.New("no free ports between 20000 and 32000")
}

// run keeps the process running until ctx is done, and then ends it. The kernel ends a child with the thread that
// started it, so one thread is kept for that.
func (p *process) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		if err := p.once(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

// once starts the process and waits for its end.
func (p *process) once(ctx context.Context) error {
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.SysProcAttr = apart()
	rest, err := cmd.StdinPipe() // never written to: its end is the child's sign to end
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.mu.Lock()
	p.cmd, p.stopped = cmd, false
	p.starts++
	again := p.starts > 1
	p.mu.Unlock()
	if again {
		p.note(chat.Event{What: "started", Name: p.name})
	}

	ended := make(chan struct{})
	leaving := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(farewell):
			_ = cmd.Process.Kill()
		}
	})
	err = cmd.Wait()
	close(ended)
	leaving()
	_ = rest.Close()
	p.mu.Lock()
	meant := p.stopped
	p.cmd = nil
	p.mu.Unlock()
	if ctx.Err() == nil && !meant {
		p.log.Warn("a process ended by itself", "name", p.name, "error", err)
		p.note(chat.Event{What: "ended", Name: p.name})
	}
	return nil
}

// end ends the process, to be started again; nothing happens while it does not run.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	p.stopped = true
	signal := syscall.SIGTERM
	if p.abrupt {
		signal = syscall.SIGKILL
	}
	_ = p.cmd.Process.Signal(signal) // fails only where it has ended already
}

// drains notes that it is drained, or no longer, and reports whether that is news.
func (p *process) drains(now bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.drained != now
	p.drained = now
	return news
}

func (p *process) state() chat.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return chat.Process{Name: p.name, Kind: p.kind, Up: p.cmd != nil && !p.stopped, Draining: p.drained, Restarts: max(0, p.starts-1)}
}

// wait returns when the process takes connections, or with the reason why ctx is done.
func (p *process) wait(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.DialTimeout("tcp", p.address, time.Second)
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
