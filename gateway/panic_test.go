package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity"
)

// panicking is a Store with a fault planted in each of its methods, for sids that name the method.
type panicking struct{ affinity.Store }

func (p panicking) Known(sid string) (affinity.Binding, bool) {
	if sid == "known" {
		panic("planted in Known")
	}
	return affinity.Binding{}, false
}

func (p panicking) LookupThen(sid string, done func(affinity.Binding, error)) {
	if sid == "lookup" {
		panic("planted in LookupThen")
	}
	p.Store.LookupThen(sid, done)
}

func (p panicking) BindThen(sid string, b affinity.Binding, done func(error)) {
	if sid == "bind" {
		panic("planted in BindThen")
	}
	p.Store.BindThen(sid, b, done)
}

func (p panicking) Unbind(ctx context.Context, sid string) error {
	if sid == "unbind" { // one of the crew asks
		panic("planted in Unbind")
	}
	return p.Store.Unbind(ctx, sid)
}

// A panic ends the connection that it happened for, and no other; it is counted, and its stack is logged once for each place.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
		switch q := r.URL.Query(); {
		case q.Get("fault") != "":
			engine("bind")(c, r)
		case q.Get("sid") == "unbind":
			c.send(answer(400, unknownSID))
		default:
			engine(aSID)(c, r)
		}
	})
	memory := affinity.NewMemory(100)
	if err := memory.Bind(t.Context(), "unbind", affinity.Binding{Node: "n1", Version: 4}); err != nil {
		t.Fatal(err)
	}
	s := startGateway(t, withNodes(node), withStore(panicking{memory}), withLog(slog.New(slog.NewTextHandler(&log, nil))))
	ws := dial(t, s.addr)
	ws.websocket(directTarget)
	ws.message()
	kept := dial(t, s.addr)
	kept.handshake(handshakeTarget)
	requests := []string{
		get(pollTarget("known")), get(pollTarget("lookup")), get(pollTarget("unbind")), get(handshakeTarget + "&fault=1"),
		request("POST", pollTarget("lookup"), "4hi", lengthOf("4hi")),
		request("POST", pollTarget("known"), inChunks("4hi", 2), chunked),
	}
	const rounds = 3
	for range rounds {
		for _, q := range requests {
			raw(t, s.addr, q).closed()
		}
	}
	if got := s.metric("sidway_panics_total"); got != float64(rounds*len(requests)) {
		t.Errorf("%v panics counted", got)
	}
	eventually(t, "no lease is left but the tunnel's", func() bool { return s.metric("sidway_leases") == 1 })
	if got := s.sessions()["n1"]; got != 2 {
		t.Errorf("%d sessions are counted, want the poll's and the tunnel's", got)
	}
	if n := strings.Count(log.String(), "panic.go") + strings.Count(log.String(), "panicking"); n == 0 {
		t.Error("no stack is logged")
	}
	if n := strings.Count(log.String(), "its connection is closed"); n == 0 || n > 4 {
		t.Errorf("logged %d times", n)
	}
	kept.expect(get(pollTarget(aSID)), 200, "6")
	ws.send(masked("4hi"))
}

// panickingLog panics at a warning that is given while a node's answer is dealt with.
type panickingLog struct{ slog.Handler }

func (l panickingLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "holds no session") {
		panic("planted in the log")
	}
	return l.Handler.Handle(ctx, r)
}

// A panic over a node's answer ends the client that waits for it, whatever has become of the node's connection by then.
func TestPanicOverAnAnswerEndsItsClient(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"closed": {"Connection: close"}, "kept": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := startNode(t, "n1", func(c *nodeConn, r *nodeRequest) {
				if r.URL.Query().Get("fault") != "" {
					c.send(answer(200, "a page", lines...))
					return
				}
				engine(aSID)(c, r)
			})
			s := startGateway(t, withNodes(node), withLog(slog.New(panickingLog{slog.NewTextHandler(io.Discard, nil)})))
			kept := dial(t, s.addr)
			kept.handshake(handshakeTarget)
			raw(t, s.addr, get(handshakeTarget+"&fault=1")).closed()
			eventually(t, "no lease is left", func() bool { return s.metric("sidway_leases") == 0 })
			if got := s.metric("sidway_panics_total"); got != 1 {
				t.Errorf("%v panics counted", got)
			}
			for range 5 {
				kept.expect(get(pollTarget(aSID)), 200, "6")
			}
			eventually(t, "one connection is left", func() bool { return s.metric("sidway_connections") == 1 })
		})
	}
}
