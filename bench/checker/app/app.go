//go:build linux

// Package app is what the checker's nodes run: an application that answers numbered messages, sends its own, and writes a history. Both
// halves speak of the same messages as the clients of package client.
//
//	p, err := app.Node(app.Options{Kind: app.SocketIO4, History: dir})
//	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
//	cmd.Env = append(os.Environ(), p.Env...)
//
// A program also takes NODE_NAME, HOST and PORT from its environment, and prints {"port":N} when it accepts.
package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Kind is a make of node.
type Kind string

// The kinds.
const (
	SocketIO4 Kind = "socket.io 4.8"
	SocketIO2 Kind = "socket.io 2.5"
	Go        Kind = "socket.io/v2 in Go"
)

// Options are what a node is. Zero durations are the libraries' own: 25 s, 20 s, and 5 s of Node's for idle connections.
type Options struct {
	Kind         Kind
	History      string // the directory
	PingInterval time.Duration
	PingTimeout  time.Duration
	KeepAlive    time.Duration // for which it keeps idle connections
	Quiet        bool          // does not say for how long
	Busy         time.Duration // for which it is deaf, again and again, half of the time
	Push         time.Duration // between two messages of its own in a session; 0 for 500 ms
}

// Program is how to run a node.
type Program struct{ Argv, Env []string }

// Node says how to run a node. It needs node and the modules of package.json; for Go nodes, BuildGo has to have been called with
// the same directory.
func Node(o Options) (Program, error) {
	root, err := Root()
	if err != nil {
		return Program{}, err
	}
	p := Program{Env: []string{"HISTORY=" + o.History}}
	switch o.Kind {
	case SocketIO4:
		p.Argv = []string{"node", filepath.Join(root, "bench/checker/app/node.mjs")}
	case SocketIO2:
		p.Argv = []string{"node", filepath.Join(root, "bench/checker/app/node.mjs")}
		p.Env = append(p.Env, "SOCKETIO=2")
	case Go:
		p.Argv = []string{filepath.Join(o.History, goProgram)}
	default:
		return Program{}, fmt.Errorf("app: no node is %q", o.Kind)
	}
	for name, d := range map[string]time.Duration{
		"PING_INTERVAL": o.PingInterval, "PING_TIMEOUT": o.PingTimeout, "KEEP_ALIVE": o.KeepAlive, "PUSH": o.Push, "BUSY": o.Busy,
	} {
		if d > 0 {
			p.Env = append(p.Env, fmt.Sprintf("%s=%d", name, d.Milliseconds()))
		}
	}
	if o.Quiet {
		p.Env = append(p.Env, "QUIET=1")
	}
	return p, nil
}

const goProgram = "checkernode"

// BuildGo builds the Go node, which belongs to the adapter's module, into a directory.
func BuildGo(dir string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, goProgram), "./internal/checkernode")
	cmd.Dir = filepath.Join(root, "adapter")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("app: %w\n%s", err, out)
	}
	return nil
}

// Root is the repository's directory, which is the working directory or above it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("app: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "bench/checker/app/node.mjs")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("app: the working directory is not in the repository")
}
