// Command checkernode is a Socket.IO node in Go, hardened by this module, for bench/checker of the repository. The environment says what
// it is, what it writes down and how messages look, as bench/checker/app/node.mjs has it.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/adapter"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "checkernode:", err)
		os.Exit(1)
	}
}

func run() error {
	interval, err := milliseconds("PING_INTERVAL", 25000)
	if err != nil {
		return err
	}
	timeout, err := milliseconds("PING_TIMEOUT", 20000)
	if err != nil {
		return err
	}
	push, err := milliseconds("PUSH", 500)
	if err != nil {
		return err
	}
	h, err := createHistory()
	if err != nil {
		return err
	}
	opts := socket.DefaultServerOptions()
	opts.SetAllowEIO3(true)
	opts.SetPingInterval(interval)
	opts.SetPingTimeout(timeout)
	adapter.Harden(opts)
	io := socket.NewServer(nil, opts)
	n := &node{history: h, push: push}
	handler := n.strays(adapter.Handler(io))
	if err := io.Engine().On("connection", func(sessions ...any) { n.session(sessions[0].(engine.Socket)) }); err != nil {
		return err
	}
	if err := io.On("connection", func(sockets ...any) { n.serve(sockets[0].(*socket.Socket)) }); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "0")))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]int{"port": ln.Addr().(*net.TCPAddr).Port}); err != nil {
		return err
	}
	return (&http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}).Serve(ln)
}

func milliseconds(name string, otherwise int) (time.Duration, error) {
	ms, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(otherwise)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
