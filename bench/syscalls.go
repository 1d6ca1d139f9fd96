//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// count counts the system calls of each proxy, once for each workload.
func (b *bench) count(ctx context.Context) error {
	for _, w := range b.run.Workloads {
		for _, r := range b.rivals {
			if r == nil || !fits(w, r) {
				continue
			}
			c, err := b.calls(ctx, r, w)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", w.Name, r.Name, err)
			}
			b.run.Calls = append(b.run.Calls, c)
			fmt.Fprintf(os.Stderr, "%-14s %-10s %.2f system calls for a %s\n", w.Name, r.Name, c.PerUnit["total"], w.Unit)
		}
	}
	return nil
}

// calls counts one proxy's during one window.
//
// The kernel itself counts, by its tracepoints. strace would stop the proxy twice at each call; it would then find more
// events at each epoll_wait, and the numbers would be those of another program.
func (b *bench) calls(ctx context.Context, r *rival.Rival, w report.Workload) (c report.Calls, err error) {
	st, err := b.open(ctx, r, w)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	l, err := startLoad(ctx, b.exe, st.job(w))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	p, err := startPerf(ctx, st)
	if err != nil {
		return c, err
	}
	result, err := l.run()
	counts, stopErr := p.stop()
	if err = errors.Join(err, stopErr); err != nil {
		return c, err
	}
	if result.Ops == 0 || result.Errors > 0 {
		return c, fmt.Errorf("%d operations, %d errors: %s", result.Ops, result.Errors, result.FirstError)
	}
	c = report.Calls{Workload: w.Name, Proxy: r.Name, PerUnit: map[string]float64{}}
	for name, n := range counts {
		c.PerUnit[name] = n / float64(result.Ops) / float64(w.PerOp)
	}
	return c, nil
}

// perf is a running "perf stat" of a stage's proxy.
type perf struct {
	cmd     *exec.Cmd
	control *os.File      // takes commands
	ack     *bufio.Reader // answers each with a line
	files   []*os.File
	out     bytes.Buffer
}

const total = "raw_syscalls:sys_enter"

// startPerf returns when counting has begun.
func startPerf(ctx context.Context, st *stage) (*perf, error) {
	pids, err := st.proxy.PIDs()
	if err != nil {
		return nil, err
	}
	p := &perf{}
	for _, name := range []string{"control", "ack"} {
		path := filepath.Join(st.dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			return nil, fmt.Errorf("perf: %w", err)
		}
		// For both directions, so that opening does not wait for the other side.
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("perf: %w", err)
		}
		p.files = append(p.files, f)
	}
	p.control, p.ack = p.files[0], bufio.NewReader(p.files[1])
	p.cmd = exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-D", "-1", "-e", events(), "-p", join(pids),
		"--control", "fifo:"+p.files[0].Name()+","+p.files[1].Name())
	p.cmd.Stderr = &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("perf: %w%s", err, missing(err, "linux-perf"))
	}
	if err := p.tell("enable"); err != nil {
		_, stopErr := p.stop()
		return nil, errors.Join(err, stopErr)
	}
	return p, nil
}

// missing tells, where a program was not found, which of Debian's packages has it.
func missing(err error, pkg string) string {
	if !errors.Is(err, exec.ErrNotFound) {
		return ""
	}
	return fmt.Sprintf(" (Debian has it in the package %s: tools/deps.sh perf)", pkg)
}

// tell gives a command and waits for its acknowledgement; a perf that has ended gives none.
func (p *perf) tell(command string) error {
	if err := p.files[1].SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return fmt.Errorf("perf: %w", err)
	}
	if _, err := fmt.Fprintln(p.control, command); err != nil {
		return fmt.Errorf("perf: %w", err)
	}
	if line, err := p.ack.ReadString('\n'); err != nil || strings.Trim(line, "\x00\n") != "ack" {
		return fmt.Errorf("perf: answers %q: %w", line, err)
	}
	return nil
}

// stop ends counting and returns the counts by the names of the system calls.
func (p *perf) stop() (map[string]float64, error) {
	err := p.tell("disable")
	_ = p.cmd.Process.Signal(os.Interrupt) // an error says that it has ended, and so does Wait
	wait := p.cmd.Wait()
	// perf ends by the signal that it was sent, which is no failure.
	if p.cmd.ProcessState.ExitCode() > 0 {
		err = errors.Join(err, fmt.Errorf("perf: %w: %s", wait, p.out.Bytes()))
	}
	for _, f := range p.files {
		f.Close()
	}
	if err != nil {
		return nil, err
	}
	return parsePerf(p.out.String())
}

// parsePerf reads lines such as "109,,syscalls:sys_enter_read,977422,100.00,,".
func parsePerf(text string) (map[string]float64, error) {
	counts := map[string]float64{}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) < 3 || !strings.Contains(fields[2], "sys_enter") {
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("perf cannot count %s here: %s", fields[2], fields[0])
		}
		name := strings.TrimPrefix(fields[2], "syscalls:sys_enter_")
		if fields[2] == total {
			name = "total"
		}
		counts[name] = n
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("perf counted nothing: %s", text)
	}
	return counts, nil
}

func events() string {
	list := []string{total}
	for _, name := range report.Counted() {
		list = append(list, "syscalls:sys_enter_"+name)
	}
	return strings.Join(list, ",")
}

func join(pids []int) string {
	var s []string
	for _, pid := range pids {
		s = append(s, strconv.Itoa(pid))
	}
	return strings.Join(s, ",")
}
