// Command movenode is a Go node whose sessions can move, for the end-to-end tests: socket.io/v2 with the Streams adapter and
// connection state recovery. It is told by the environment what to be, prints {"port":N} and answers the lines {"cmd":"stats"}
// and {"cmd":"stop"}, as e2e/testdata/movenode.mjs does. It ends when its standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter"
	"github.com/zishang520/socket.io/v2/socket"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "movenode:", err)
		os.Exit(1)
	}
}

func run() error {
	opts, err := options()
	if err != nil {
		return err
	}
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS")})
	adapter.Harden(opts)
	opts.SetAdapter(adapter.Streams(rdb, adapter.Options{}))
	io := socket.NewServer(nil, opts)
	n := &node{name: os.Getenv("NODE_NAME"), reasons: map[string]int{}, ups: map[string][]*span{}}
	for _, nsp := range []socket.Namespace{io.Sockets(), io.Of("/chat", nil)} {
		_ = nsp.On("connection", func(args ...any) { n.welcome(args[0].(*socket.Socket)) })
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: adapter.Handler(io), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	go func() { fmt.Fprintln(os.Stderr, "movenode:", server.Serve(ln)) }()
	say(map[string]any{"port": ln.Addr().(*net.TCPAddr).Port})
	return n.answerLines()
}

func options() (*socket.ServerOptions, error) {
	opts := socket.DefaultServerOptions()
	for name, set := range map[string]func(time.Duration){"PING_INTERVAL": opts.SetPingInterval, "PING_TIMEOUT": opts.SetPingTimeout} {
		if text, ok := os.LookupEnv(name); ok {
			ms, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			set(time.Duration(ms) * time.Millisecond)
		}
	}
	recovery := &socket.ConnectionStateRecovery{}
	recovery.SetMaxDisconnectionDuration(120_000)
	opts.SetConnectionStateRecovery(recovery)
	return opts, nil
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
			n.tell()
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
		fmt.Fprintln(os.Stderr, "movenode:", err)
	}
}
