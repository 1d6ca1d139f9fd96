package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sidway/sidway/gateway/replica"
)

// inherited returns the sockets that a predecessor or systemd has opened for this process, the latter as sd_listen_fds(3) tells of them. The one whose
// FileDescriptorName is admin is for the admin address, all others are for clients.
func inherited() (s replica.Sockets, err error) {
	if s, isSuccessor, err := handedOver(); isSuccessor {
		return s, err
	}
	named, err := activation.ListenersWithNames()
	if err != nil {
		return s, fmt.Errorf("the sockets of systemd: %w", err)
	}
	all := named["admin"]
	if len(all) > 1 {
		return s, errors.New("systemd has opened several sockets called admin, and there is one admin address")
	}
	if len(all) == 1 {
		s.Admin = all[0]
	}
	delete(named, "admin")
	s.Listen = named
	return s, nil
}

// notify tells systemd how the process is, if it wants to know.
func notify(log *slog.Logger, state string) {
	if strings.HasPrefix(state, daemon.SdNotifyReloading) {
		state += "\n" + daemon.SdNotifyMonotonicUsec()
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be told", "error", err)
	}
}

// watchdog is how often systemd has to be told that all is well: twice in WatchdogSec. 0 is never.
func watchdog() (time.Duration, error) {
	limit, err := daemon.SdWatchdogEnabled(true)
	return limit / 2, err
}
