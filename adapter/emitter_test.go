package adapter_test

import (
	"context"
	"testing"

	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/socket.io/v2/socket"
)

// TestEmitter sends from this process, which runs no server, into clusters of Go, of Go and Node, and the same from
// Node's emitter into Go.
func TestEmitter(t *testing.T) {
	redis := redistest.Start(t)
	for _, c := range []struct{ name, a, b, emitter string }{
		{"ours into go", "go", "go", "ours"},
		{"ours into go and node", "go", "node", "ours"},
		{"ours into node", "node", "node", "ours"},
		{"node's into go", "go", "go", "node"},
		{"node's into go and node", "go", "node", "node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, "pubsub", [2]string{c.a, c.b}, redis.Port())
			prefix := "pubsub-" + c.a + "-" + c.b
			send := ourSender(redis.Port(), prefix)
			if c.emitter == "node" {
				p := startProc(t, "emitter", "node", "testdata/emitter.mjs", redis.Addr(), prefix)
				send = func(t *testing.T, target m, method string, args ...any) { p.do(target, method, args...) }
			}
			emitEvents(t, cl, send)
			manageSockets(t, cl, send)
		})
	}
}

// sender is an emitter under test: what to do, on which target, with which arguments.
type sender func(t *testing.T, target m, method string, args ...any)

func emitEvents(t *testing.T, c *cluster, send sender) {
	t.Helper()
	all := []any{"x", 1.0, nil, []byte{1, 2}}
	for _, e := range []struct {
		name   string
		target m
		want   []string
	}{
		{"all", m{}, everybody},
		{"room", m{"rooms": []any{"one"}}, []string{"a1", "b1"}},
		{"rooms", m{"rooms": []any{"one", "two"}}, everybody},
		{"except", m{"except": []any{"two"}}, []string{"a1", "b1"}},
		{"compress", m{"compress": true}, everybody},
	} {
		send(t, e.target, "emit", append([]any{"emitted-" + e.name}, all...)...)
		if err := c.only("emitted-"+e.name, all, e.want...); err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
	}
	if err := c.volatile(all, func(name string) {
		send(t, m{"volatile": true}, "emit", append([]any{name}, all...)...)
	}); err != nil {
		t.Errorf("volatile: %v", err)
	}
	for _, name := range []string{"a-chat", "b-chat"} {
		c.connect(name, "/chat")
	}
	send(t, m{"nsp": "/chat"}, "emit", "emitted-nsp", "x")
	for _, name := range []string{"a-chat", "b-chat"} {
		c.clients.await(name, "emitted-nsp", 1)
	}
}

func manageSockets(t *testing.T, c *cluster, send sender) {
	t.Helper()
	send(t, m{"rooms": []any{"two"}}, "socketsJoin", "three")
	redistest.Eventually(t, "two sockets in room three", func() bool {
		s, err := c.fetched(m{"rooms": []any{"three"}})
		return err == nil && len(s) == 2 && s["a2"] != nil && s["b2"] != nil
	})
	send(t, m{}, "socketsLeave", "three")
	redistest.Eventually(t, "no socket in room three", func() bool {
		s, err := c.fetched(m{"rooms": []any{"three"}})
		return err == nil && len(s) == 0
	})
	send(t, m{}, "serverSideEmit", "note", "from an emitter")
	for _, p := range []*proc{c.a, c.b} {
		redistest.Eventually(t, "servers hear", func() bool {
			list, _ := p.do(nil, "heard").([]any)
			return len(list) == 1
		})
	}
	send(t, m{"rooms": []any{"two"}}, "disconnectSockets", true)
	for _, name := range []string{"a2", "b2"} {
		c.clients.await(name, "disconnect", 1)
	}
}

func ourSender(port int, prefix string) sender {
	return func(t *testing.T, target m, method string, args ...any) {
		t.Helper()
		e := adapter.NewEmitter(redisClient(t, port), adapter.Options{Prefix: prefix})
		if nsp, ok := target["nsp"].(string); ok {
			e = e.Of(nsp)
		}
		for _, r := range list(target["rooms"]) {
			e = e.To(socket.Room(r.(string)))
		}
		for _, r := range list(target["except"]) {
			e = e.Except(socket.Room(r.(string)))
		}
		if target["volatile"] == true {
			e = e.Volatile()
		}
		if target["compress"] == true {
			e = e.Compress(true)
		}
		if err := call(t.Context(), e, method, args); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func call(ctx context.Context, e *adapter.Emitter, method string, args []any) error {
	switch method {
	case "socketsJoin":
		return e.SocketsJoin(ctx, socket.Room(args[0].(string)))
	case "socketsLeave":
		return e.SocketsLeave(ctx, socket.Room(args[0].(string)))
	case "serverSideEmit":
		return e.ServerSideEmit(ctx, args[0].(string), args[1:]...)
	case "disconnectSockets":
		return e.DisconnectSockets(ctx, args[0].(bool))
	}
	return e.Emit(ctx, args[0].(string), args[1:]...)
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func TestEmitterRefuses(t *testing.T) {
	redis := redistest.Start(t)
	e := adapter.NewEmitter(redisClient(t, redis.Port()), adapter.Options{})
	if err := e.Emit(t.Context(), "disconnect"); err == nil {
		t.Error("a reserved event is accepted")
	}
	if err := e.Emit(t.Context(), "x", make(chan int)); err == nil {
		t.Error("a channel is accepted")
	}
	redis.Kill()
	if err := e.Emit(t.Context(), "x"); err == nil {
		t.Error("no error without Redis")
	}
}
