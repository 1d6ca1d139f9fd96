package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/sidway/sidway/gateway/replica"
)

// successorTime is how long a successor may take to be ready.
var successorTime = 30 * time.Second

// predecessorVariable has the id of the process that has handed its sockets over, beside the variables of sd_listen_fds(3). Their
// LISTEN_PID can be known to nobody before the process that it is for.
const predecessorVariable = "LISTEN_PREDECESSOR"

// perProcess are variables that must not go from a process to its successor as they are.
var perProcess = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", predecessorVariable}

// handedOver returns what a predecessor has handed to this process, if one has.
func handedOver() (s replica.Sockets, isSuccessor bool, err error) {
	predecessor := os.Getenv(predecessorVariable)
	if predecessor == "" || predecessor != strconv.Itoa(os.Getppid()) {
		return s, false, nil
	}
	if err := errors.Join(os.Unsetenv(predecessorVariable), os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))); err != nil {
		return s, true, err
	}
	s, err = replica.Inherit(activation.Files(true))
	return s, true, err
}

// handOver has a successor take over from r on each SIGUSR2, and then ends this process's own part by end, until ctx is done.
func (c command) handOver(ctx context.Context, r *replica.Replica, end func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.handovers:
		}
		limited, cancel := context.WithTimeoutCause(ctx, successorTime, replica.ErrNotReady)
		err := r.HandOver(limited, c.successor)
		cancel()
		if err == nil {
			signal.Reset(syscall.SIGTERM, os.Interrupt) // there is nothing left to end in order
			end()
			return
		}
	}
}

// successor starts the program again by the path that it was started by, which another version may have by now.
func (c command) successor(files []*os.File) (*exec.Cmd, error) {
	if os.Getpid() == 1 {
		return nil, errors.New("this is process 1, with which its container ends: start another container in its place")
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = slices.DeleteFunc(slices.Clone(c.env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(perProcess, name)
	})
	cmd.Env = append(cmd.Env, predecessorVariable+"="+strconv.Itoa(os.Getpid()),
		"LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, files
	return cmd, cmd.Start()
}
