//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/load"
)

// loader is the load generator's process.
type loader struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr bytes.Buffer
}

// startLoad starts one and returns when its connections stand and are warm. A load that hangs ends with an error.
func startLoad(ctx context.Context, exe string, job load.Job) (*loader, error) {
	line, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	// Tunnels are opened at about a thousand a second.
	limit := time.Minute + time.Duration((2*job.Seconds+float64(job.Conns)/200)*float64(time.Second))
	ctx, cancel := context.WithTimeout(ctx, limit)
	l := &loader{cmd: exec.CommandContext(ctx, exe, "load"), cancel: cancel}
	l.cmd.Stderr = &l.stderr
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for the command, which ends this one
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = bufio.NewScanner(out)
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct{ Ready bool }
	if err := l.ask(string(line), &ready); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// run measures: from "go" to the result. The connections stay.
func (l *loader) run() (load.Result, error) {
	var r load.Result
	err := l.ask("go", &r)
	return r, err
}

// ask writes a line and reads the answer.
func (l *loader) ask(line string, answer any) error {
	if _, err := fmt.Fprintln(l.in, line); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if !l.out.Scan() {
		return fmt.Errorf("load: no answer: %w", errors.Join(l.out.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(l.out.Bytes(), answer); err != nil {
		return fmt.Errorf("load: %q: %w", l.out.Text(), err)
	}
	return nil
}

// close ends the process and its connections.
func (l *loader) close() error {
	defer l.cancel()
	l.in.Close()
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("load: %w: %s", err, bytes.TrimSpace(l.stderr.Bytes()))
	}
	return nil
}
