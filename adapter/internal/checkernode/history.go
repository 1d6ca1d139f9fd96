package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// event is a line of a history, as bench/checker/history has it.
type event struct {
	At   int64  `json:"at"`
	Tap  string `json:"tap"`
	By   string `json:"by"`
	Kind string `json:"kind"`
	SID  string `json:"sid"`
	Of   string `json:"of,omitempty"`
	Dir  string `json:"dir,omitempty"`
	Seq  int    `json:"seq"`
	Bad  bool   `json:"bad,omitempty"`
	Why  string `json:"why,omitempty"`
}

// history is a file of events. A line is with the kernel when write returns, so that kill -9 loses none.
type history struct {
	mu sync.Mutex
	f  *os.File
	by string
}

func createHistory() (*history, error) {
	name, pid := os.Getenv("NODE_NAME"), os.Getpid()
	f, err := os.Create(filepath.Join(os.Getenv("HISTORY"), fmt.Sprintf("node-%s-%d.jsonl", name, pid)))
	return &history{f: f, by: fmt.Sprintf("%s/%d", name, pid)}, err
}

// write adds an event. What cannot be written ends the process, since a history with holes accuses the gateway.
func (h *history) write(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	if err == nil {
		e.At, e.Tap, e.By = now.Nano(), "node", h.by
		err = json.NewEncoder(h.f).Encode(e)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "checkernode:", err)
		os.Exit(1)
	}
}
