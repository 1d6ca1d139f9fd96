// Command barenode is a Socket.IO node on github.com/zishang520/socket.io/v2 for the end-to-end tests. It is told by the
// environment what to be (NODE_NAME, ALLOW_EIO3, PING_INTERVAL and PING_TIMEOUT in milliseconds, PORT), prints
// {"port":N}, and answers the lines {"cmd":"stats"} and {"cmd":"stop"} on its standard input, as testdata/server.mjs
// does. It ends when its standard input does, so that it never outlives its test.
//
// Its handlers are meant for one message in flight per session: the library gives each inbound event a goroutine of its own.
// It runs on one processor, which makes the library's races rare.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "barenode:", err)
		os.Exit(1)
	}
}

func run() error {
	runtime.GOMAXPROCS(1)
	opts := socket.DefaultServerOptions()
	opts.SetAllowEIO3(os.Getenv("ALLOW_EIO3") == "1")
	opts.SetCors(&types.Cors{Origin: "*"})
	interval, err := milliseconds("PING_INTERVAL", 25000)
	if err != nil {
		return err
	}
	timeout, err := milliseconds("PING_TIMEOUT", 20000)
	if err != nil {
		return err
	}
	opts.SetPingInterval(interval)
	opts.SetPingTimeout(timeout)

	n := newNode(os.Getenv("NODE_NAME"), opts)
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: n.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		fmt.Fprintln(os.Stderr, "barenode:", server.Serve(ln))
	}()
	say(map[string]any{"port": ln.Addr().(*net.TCPAddr).Port})
	return n.answerLines()
}

func milliseconds(name string, otherwise int) (time.Duration, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return time.Duration(otherwise) * time.Millisecond, nil
	}
	ms, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// answerLines serves the line protocol until stop is asked for or the input ends.
func (n *node) answerLines() error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var line struct {
			Cmd string `json:"cmd"`
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return err
		}
		switch line.Cmd {
		case "stats":
			say(n.stats())
		case "stop":
			say(map[string]any{})
			return nil
		default:
			return fmt.Errorf("unknown command %q", line.Cmd)
		}
	}
	return in.Err()
}

func say(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, "barenode:", err)
	}
}
