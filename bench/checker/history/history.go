// Package history is what a run of the checker leaves behind and is judged by: every process that takes part writes down what it
// saw, each line an Event, and Judge reads all of them together with the faults that were done meanwhile.
//
//	events, err := history.Read(dir) // the files *.jsonl of clients and nodes
//	verdict := history.Judge(events, injuries)
//	if !verdict.Sound() {
//		fmt.Println(verdict)
//	}
//
// Each message carries its session's sid, its direction, its number in the session and the digest of all these and its payload, so
// that whoever receives it can tell whose it is. It does not know how messages travel: that is for the packages client and app.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Tap is where something was seen.
type Tap string

// The taps.
const (
	Client Tap = "client"
	Node   Tap = "node"
)

// Direction is where a message goes.
type Direction string

// Messages go up from a client to its node, and down from the node.
const (
	Up   Direction = "up"
	Down Direction = "down"
)

// Kind is what happened.
type Kind string

// What clients and nodes write down. A session is an Engine.IO session.
const (
	Open      Kind = "open"      // the session SID began: its open packet was sent or read; a client names its transport in Why
	Connected Kind = "connected" // Socket.IO's CONNECT was answered
	Send      Kind = "send"      // message Seq was handed to the library
	Receive   Kind = "receive"   // message Seq came out of the library; written before it is acknowledged
	Ack       Kind = "ack"       // the acknowledgement of message Seq of direction Dir came back to its sender
	Upgraded  Kind = "upgraded"  // a client's session changed from polling to WebSocket
	Polling   Kind = "polling"   // a client's upgrade failed: the session polls for good; Why says how it failed
	On        Kind = "on"        // a client's poll or tunnel went through a front that the last one did not go through
	Settled   Kind = "settled"   // a client's session has all acknowledgements and all Due messages that the node says it sent
	End       Kind = "end"       // the session ended; Why says how
	Refused   Kind = "refused"   // a client that had no session tried to get one and failed; Status is HTTP's, 0 for no answer
	Stray     Kind = "stray"     // a node was asked for a SID that it did not make
)

// Why a client ended a session by its own doing: then it is not lost.
const (
	Stopped  = "stopped"  // the run is over
	Cut      = "cut"      // it was told to end its connections
	Vanished = "vanished" // it was told to leave without a word
)

// Event is one line of a history.
type Event struct {
	At     time.Duration `json:"at"` // CLOCK_MONOTONIC, which the processes and network namespaces of a machine share
	Tap    Tap           `json:"tap"`
	By     string        `json:"by"`             // the client's name; a node's name and process, n1/4711
	Kind   Kind          `json:"kind"`           //
	SID    string        `json:"sid,omitempty"`  // the session in which it was seen
	Of     string        `json:"of,omitempty"`   // the session that a received message says it belongs to, where that is another one
	Dir    Direction     `json:"dir,omitempty"`  //
	Seq    int           `json:"seq"`            // from 0 for each session and direction
	Bad    bool          `json:"bad,omitempty"`  // the message's digest is wrong
	Due    int           `json:"due,omitempty"`  //
	Why    string        `json:"why,omitempty"`  //
	Status int           `json:"code,omitempty"` //
	Fronts []string      `json:"on,omitempty"`   // where a client's requests in flight and tunnels are or, of Refused, were, as addresses that it dialled
}

// Now is the time of events.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // Linux knows this clock
	}
	return time.Duration(t.Nano())
}

// Read reads every history in a directory and returns the events in the order of their time; those of one writer keep its order.
func Read(dir string) ([]Event, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []Event
	for _, name := range files {
		events, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("history: %s: %w", name, err)
		}
		all = append(all, events...)
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.At - b.At) })
	return all, nil
}

// readFile leaves out a last line that is not whole: its writer was killed.
func readFile(name string) ([]Event, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var events []Event
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
		events = append(events, e)
	}
}
