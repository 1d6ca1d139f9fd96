//go:build linux

package rival

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what all processes of a group have taken so far. Memory is in bytes.
type Usage struct {
	CPU  time.Duration `json:"cpu"`  // user and system, since each process began
	Anon int64         `json:"anon"` // RssAnon: memory of its own that is present
	PSS  int64         `json:"pss"`  // with its share of mapped files and of memory that workers share
	Peak int64         `json:"peak"` // VmHWM: the most that was present at any time, files included
}

// Usage reads what the process and those it started have taken.
func (p *Process) Usage() (Usage, error) {
	pids, err := p.PIDs()
	if err != nil {
		return Usage{}, err
	}
	var sum Usage
	for _, pid := range pids {
		if err := sum.add(pid); err != nil {
			return Usage{}, fmt.Errorf("rival: %s: %w", p.name, err)
		}
	}
	return sum, nil
}

// CPU reads only the processors' time, which takes microseconds, so that it can be read around a measurement.
//
// It asks the processes' own clocks: their sum counts nanoseconds, with threads that have ended. /proc/<pid>/stat
// counts the same in ticks of 10 ms, and task/*/schedstat forgets threads that end. What the kernel does for a packet in
// a soft interrupt is counted for whoever runs then; on loopback that is mostly the sender, for each proxy alike.
func (p *Process) CPU() (time.Duration, error) {
	pids, err := p.PIDs()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range pids {
		t, err := cpu(pid)
		if err != nil {
			return 0, fmt.Errorf("rival: %s: %w", p.name, err)
		}
		sum += t
	}
	return sum, nil
}

// PIDs lists the processes of the group.
func (p *Process) PIDs() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("rival: %w", err)
	}
	var pids []int
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, fmt.Errorf("rival: %w", err)
		}
		// pid (name) state ppid pgrp …; a name may hold spaces and parentheses.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 3 || string(fields[2]) != strconv.Itoa(p.pid) || string(fields[0]) == "Z" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil {
			return nil, fmt.Errorf("rival: %w", err)
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("rival: %s has ended\n%s", p.name, p.Log())
	}
	return pids, nil
}

func (u *Usage) add(pid int) error {
	t, err := cpu(pid)
	if err != nil {
		return err
	}
	status, err := kibibytes(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	rollup, err := kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return err
	}
	u.CPU += t
	u.Anon += status["RssAnon"]
	u.Peak += status["VmHWM"]
	u.PSS += rollup["Pss"]
	return nil
}

// cpu reads the clock that the kernel keeps for each process (clock_getcpuclockid(3)).
func cpu(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// kibibytes reads the lines "Name: 123 kB" of a file in /proc, as bytes.
func kibibytes(file string) (map[string]int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		number, kB := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if n, err := strconv.ParseInt(number, 10, 64); kB && err == nil {
			values[name] = n << 10
		}
	}
	return values, nil
}

// Kernel is what the kernel of the whole machine holds for connections, in bytes.
type Kernel struct {
	Slab    int64 `json:"slab"`    // sockets with their inodes, files, epoll items
	Sockets int64 `json:"sockets"` // pages of TCP buffers
	Waiting int   `json:"waiting"` // connections in TIME_WAIT: a number, and each takes slab too
}

// Total is the memory of both kinds.
func (k Kernel) Total() int64 { return k.Slab + k.Sockets }

// ReadKernel reads it. Whatever else runs on the machine is in it too.
func ReadKernel() (Kernel, error) {
	info, err := kibibytes("/proc/meminfo")
	if err != nil {
		return Kernel{}, fmt.Errorf("rival: %w", err)
	}
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return Kernel{}, fmt.Errorf("rival: %w", err)
	}
	k := Kernel{Slab: info["Slab"]}
	for line := range strings.Lines(string(text)) {
		// TCP: inuse 9 orphan 0 tw 2 alloc 9 mem 1
		fields := strings.Fields(line)
		if len(fields) < 11 || fields[0] != "TCP:" || fields[5] != "tw" || fields[9] != "mem" {
			continue
		}
		pages, err := strconv.ParseInt(fields[10], 10, 64)
		if err != nil {
			return Kernel{}, fmt.Errorf("rival: /proc/net/sockstat: %w", err)
		}
		k.Sockets = pages * int64(os.Getpagesize())
		if k.Waiting, err = strconv.Atoi(fields[6]); err != nil {
			return Kernel{}, fmt.Errorf("rival: /proc/net/sockstat: %w", err)
		}
	}
	return k, nil
}
