//go:build linux

// Package load makes the load of one benchmark run and measures what its operations took: one loop over raw epoll that
// allocates nothing per operation, so that not the load but what it runs against is the bottleneck.
//
//	bench load <<< '{"kind":"poll","addr":"127.0.0.1:8080","conns":64,"seconds":5}'
//
// A closed loop has one operation under way on each connection, or on so many of them in turn. An open loop begins them when they are due, however long
// the earlier ones take, and measures from then; it waits with the kernel's high-resolution timers and no timer slack,
// without spinning. What an answer holds is checked; that it is the right session's only by the node (see Foreign).
package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"
)

// Main reads a Job, a line of JSON, from stdin, opens its connections, warms up, writes {"ready":true}, waits for the
// line "go", runs, and writes the Result, a line of JSON. Its connections stay open until stdin ends; then it returns.
func Main(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("load: read the job: %w", err)
	}
	var j Job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("load: read the job: %w", err)
	}
	if err := j.check(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("load: timer slack: %w", err)
	}
	r, err := newRunner(j)
	if err != nil {
		return err
	}
	defer r.close()
	return r.talk(in, stdout)
}

// talk does what Main promises once the job is known.
func (r *runner) talk(in *bufio.Reader, stdout io.Writer) error {
	if err := r.open(); err != nil {
		return err
	}
	if r.job.Kind != Idle {
		r.run(r.job.warmup())
	}
	if _, err := io.WriteString(stdout, `{"ready":true}`+"\n"); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("load: wait for go: %w", err)
	}
	if line != "go\n" {
		return errors.New("load: another line than go")
	}
	if err := json.NewEncoder(stdout).Encode(r.run(r.job.Seconds)); err != nil {
		return fmt.Errorf("load: write the result: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}
