// Command gonode is a Go Socket.IO server that the adapter's tests drive by lines of JSON on stdin, with the same
// operations as testdata/server.mjs. It is a process of its own because the library's own bookkeeping of acknowledgements
// races with itself, which -race would report in the test.
//
// Arguments: adapter kind, Redis port, prefix, JSON of further options.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/binjson"
)

// settings are the further options.
type settings struct {
	RequestsTimeout  int64  `json:"requestsTimeout"`
	SubscriptionMode string `json:"subscriptionMode"`
	Plain            bool   `json:"plain"`     // the library as it is
	SlowSetup        int64  `json:"slowSetup"` // ms that a connection handler takes before it listens
	Origin           string `json:"origin"`    // the only one that CORS allows
	Server           struct {
		PingInterval int64 `json:"pingInterval"`
		PingTimeout  int64 `json:"pingTimeout"`
		Connect      int64 `json:"connectTimeout"`
		Recovery     *struct {
			MaxDisconnectionDuration int64 `json:"maxDisconnectionDuration"`
		} `json:"connectionStateRecovery"`
	} `json:"server"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	kind, port, prefix := os.Args[1], os.Args[2], os.Args[3]
	var set settings
	if len(os.Args) > 4 {
		if err := json.Unmarshal([]byte(os.Args[4]), &set); err != nil {
			return err
		}
	}
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	io := socket.NewServer(nil, options(kind, prefix, set, rdb))
	s := &server{io: io, slow: time.Duration(set.SlowSetup) * time.Millisecond}
	s.setup(io.Sockets())
	s.setup(io.Of("/chat", nil))
	dynamic := io.Of(regexp.MustCompile(`^/dynamic-\d+$`), nil)
	_ = dynamic.On("connection", s.connected)
	_ = io.On("new_namespace", func(args ...any) { s.listen(args[0].(socket.Namespace)) })

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := io.ServeHandler(nil)
	if !set.Plain {
		handler = adapter.Handler(io)
	}
	go func() { _ = http.Serve(ln, handler) }()
	s.say(map[string]any{"ready": true, "port": ln.Addr().(*net.TCPAddr).Port})
	return s.obey()
}

func options(kind, prefix string, set settings, rdb redis.UniversalClient) *socket.ServerOptions {
	opts := socket.DefaultServerOptions()
	opts.SetAllowEIO3(true)
	if !set.Plain {
		adapter.Harden(opts)
	}
	if set.Origin != "" {
		opts.SetCors(&types.Cors{Origin: []any{set.Origin}})
	}
	ao := adapter.Options{
		Prefix: prefix, Stream: prefix, SessionPrefix: prefix + ":session:",
		RequestTimeout: time.Duration(set.RequestsTimeout) * time.Millisecond,
	}
	switch set.SubscriptionMode {
	case "static":
		ao.Subscription = adapter.Static
	case "dynamic-private":
		ao.Subscription = adapter.DynamicPrivate
	}
	switch kind {
	case "pubsub":
		opts.SetAdapter(adapter.PubSub(rdb, ao))
	case "sharded":
		opts.SetAdapter(adapter.Sharded(rdb, ao))
	case "streams":
		opts.SetAdapter(adapter.Streams(rdb, ao))
	}
	if set.Server.PingInterval > 0 {
		opts.SetPingInterval(time.Duration(set.Server.PingInterval) * time.Millisecond)
	}
	if set.Server.PingTimeout > 0 {
		opts.SetPingTimeout(time.Duration(set.Server.PingTimeout) * time.Millisecond)
	}
	if set.Server.Connect > 0 {
		opts.SetConnectTimeout(time.Duration(set.Server.Connect) * time.Millisecond)
	}
	if r := set.Server.Recovery; r != nil {
		recovery := &socket.ConnectionStateRecovery{}
		recovery.SetMaxDisconnectionDuration(r.MaxDisconnectionDuration)
		opts.SetConnectionStateRecovery(recovery)
	}
	return opts
}

type server struct {
	io *socket.Server

	mu    sync.Mutex
	heard []any
	seqs  []any
	out   sync.Mutex
	slow  time.Duration
}

func (s *server) say(v any) {
	b, err := json.Marshal(binjson.Pack(v))
	if err != nil {
		b, _ = json.Marshal(map[string]any{"error": err.Error()})
	}
	s.out.Lock()
	defer s.out.Unlock()
	_, _ = os.Stdout.Write(append(b, '\n'))
}

func (s *server) setup(nsp socket.Namespace) {
	_ = nsp.On("connection", s.connected)
	s.listen(nsp)
}

func (s *server) listen(nsp socket.Namespace) {
	_ = nsp.On("note", func(args ...any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heard = append(s.heard, args)
	})
	_ = nsp.On("ask-node", func(args ...any) {
		args[1].(socket.Ack)([]any{map[string]any{"from": "go", "arg": args[0]}}, nil)
	})
}

func (s *server) connected(args ...any) {
	c := args[0].(*socket.Socket)
	time.Sleep(s.slow)
	_ = c.On("seq", func(args ...any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seqs = append(s.seqs, args[0])
	})
	_ = c.On("size", func(args ...any) {
		if text, ok := args[0].(string); ok {
			args[len(args)-1].(socket.Ack)([]any{len(text)}, nil)
		}
	})
	_ = c.On("ask-me", func(args ...any) { // waits, in its handler, for an acknowledgement of the same client
		answer := make(chan any, 1)
		c.Timeout(2*time.Second).EmitWithAck("ask", "x")(func(list []any, _ error) { answer <- list })
		args[len(args)-1].(socket.Ack)([]any{<-answer}, nil)
	})
	done := func(args []any, values ...any) { args[len(args)-1].(socket.Ack)(values, nil) }
	_ = c.On("join", func(args ...any) { c.Join(socket.Room(args[0].(string))); done(args) })
	_ = c.On("message", func(args ...any) { _ = c.Emit("message-back", args...) })
	_ = c.On("message-with-ack", func(args ...any) { done(args, args[:len(args)-1]...) })
	_ = c.On("leave", func(args ...any) { c.Leave(socket.Room(args[0].(string))); done(args) })
	_ = c.On("data", func(args ...any) { c.SetData(args[0]); done(args) })
	_ = c.On("relay", func(args ...any) { _ = c.Broadcast().Emit(args[0].(string), args[1:]...) })
	_ = c.On("relay-room", func(args ...any) {
		_ = c.To(socket.Room(args[0].(string))).Emit(args[1].(string), args[2:]...)
	})
	_ = c.On("say-and-ask", func(args ...any) {
		_ = c.Emit("said", args[0])
		c.EmitWithAck("ask", args[0])(func([]any, error) {})
		done(args, args[0])
	})
	_ = c.On("bye", func(...any) { c.Disconnect(true) })
	_ = c.On("reply", func(args ...any) { _ = c.Emit(args[0].(string), args[1:]...) })
	_ = c.On("whoami", func(args ...any) {
		done(args, map[string]any{
			"id": c.Id(), "recovered": c.Recovered(), "rooms": sorted(c.Rooms().Keys()), "data": c.Data(),
			"auth": c.Handshake().Auth,
		})
	})
	_ = c.On("auth", func(args ...any) { done(args, c.Handshake().Auth) })
}

// request is one line of stdin.
type request struct {
	ID     int    `json:"id"`
	Target target `json:"target"`
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

func (s *server) obey() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		r.Args, _ = binjson.Unpack(r.Args).([]any)
		go func() {
			v, err := s.do(r)
			answer := map[string]any{"id": r.ID, "value": v}
			if err != nil {
				answer["error"] = err.Error()
			}
			s.say(answer)
		}()
	}
	return lines.Err()
}

func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return (u.Utime.Nano() + u.Stime.Nano()) / 1000
}
