package adapter_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/sidway/sidway/adapter"
	"github.com/sidway/sidway/adapter/internal/redistest"
	"github.com/zishang520/socket.io/v2/socket"
)

const recovering = `{"server":{"pingInterval":500,"pingTimeout":1500,"connectionStateRecovery":{"maxDisconnectionDuration":20000}}}`

// TestRecovery lets a client lose its connection and come back, to the same node or to another one, of either kind.
func TestRecovery(t *testing.T) {
	redis := redistest.Start(t)
	for _, pair := range [][2]string{
		{"go", "go"}, {"go", "node"}, {"node", "go"}, {"recovery", "recovery"}, {"recovery", "go"}, {"go", "recovery"}, {"recovery", "node"},
	} {
		for _, how := range []string{"cut, same node", "cut, other node", "crash"} {
			if pair[0] == "node" && how == "crash" {
				continue // Node's adapter keeps a session only at its disconnection
			}
			t.Run(pair[0]+"-"+pair[1]+"/"+how, func(t *testing.T) {
				recovery(t, pair, how, redis.Port())
			})
		}
	}
}

func recovery(t *testing.T, pair [2]string, how string, port int) {
	prefix := strings.ReplaceAll(fmt.Sprintf("recovery-%s-%s-%s", pair[0], pair[1], how), " ", "")
	a := startServer(t, serverSpec{pair[0], "streams", port, prefix, recovering})
	b := startServer(t, serverSpec{pair[1], "streams", port, prefix, recovering})
	clients := startClients(t)
	redistest.Eventually(t, "two servers", func() bool { return a.do(nil, "serverCount") == 2.0 && b.do(nil, "serverCount") == 2.0 })

	clients.do(nil, "connect", "c", a.url()+"/", m{"transports": []any{"websocket"}})
	id := clients.await("c", "connect", 1)[0][0]
	clients.do(nil, "ask", "c", "join", "room")
	clients.do(nil, "ask", "c", "data", m{"nick": "n"})
	a.do(nil, "emit", "seen", 1)
	clients.await("c", "seen", 1)
	key := prefix + ":session:"
	rdb := redisClient(t, port)
	if pair[0] != "node" {
		redistest.Eventually(t, "the session is kept with its data", func() bool { return sessionHolds(t, rdb, key, "room", "nick") })
	}

	if how == "crash" {
		_ = a.cmd.Process.Kill()
		a.until("end", func() bool { return a.ended })
	} else {
		clients.do(nil, "cut", "c")
	}
	clients.await("c", "disconnect", 1)
	if how != "crash" {
		redistest.Eventually(t, "the session is persisted", func() bool { return sessionHolds(t, rdb, key, "room", "nick") })
	}
	for i := range 3 {
		b.do(m{"rooms": []any{"room"}}, "emit", "missed", i)
		b.do(m{"rooms": []any{"other"}}, "emit", "missed", "of another room")
		b.do(m{"except": []any{"room"}}, "emit", "missed", "not for the room")
		b.do(m{"volatile": true}, "emit", "missed", "volatile")
	}
	back := b
	if how == "cut, same node" {
		back = a
	}
	redistest.Eventually(t, "all entries are written", func() bool { return rdb.XLen(t.Context(), prefix).Val() >= 10 })
	clients.do(nil, "reopen", "c", back.url()+"/")
	recovered(t, clients, back, id)
	clients.do(nil, "disconnect", "c")
	redistest.Eventually(t, "nothing is kept of a client that took its leave", func() bool {
		return len(rdb.Keys(t.Context(), key+"*").Val()) == 0
	})
}

// recovered checks what the client finds at the server to which it comes back.
func recovered(t *testing.T, clients, back *proc, id any) {
	t.Helper()
	connects := clients.await("c", "connect", 2)
	if !reflect.DeepEqual(connects[1], []any{id, true}) {
		t.Fatalf("connected as %v, want %v recovered", connects[1], id)
	}
	who, _ := clients.do(nil, "ask", "c", "whoami").(m)
	rooms, _ := who["rooms"].([]any)
	if who["id"] != id || who["recovered"] != true || len(rooms) != 2 || !reflect.DeepEqual(who["data"], m{"nick": "n"}) {
		t.Errorf("the socket is %v", who)
	}
	back.do(nil, "emit", "later", 1)
	clients.await("c", "later", 1)
	var missed []any
	for _, args := range clients.got("c", "missed") {
		if args[0] == "volatile" && back.name == "node" {
			continue // Node's adapter keeps even these for later
		}
		missed = append(missed, args[0])
	}
	if !reflect.DeepEqual(missed, []any{0.0, 1.0, 2.0}) {
		t.Errorf("missed events that came: %v", missed)
	}
}

// TestAcknowledgementsFollowWhatWasSaid has a handler emit, ask and acknowledge in a row. An acknowledgement that came first would tell a gateway that
// the session is at rest, which asks then.
func TestAcknowledgementsFollowWhatWasSaid(t *testing.T) {
	redis := redistest.Start(t)
	server := startServer(t, serverSpec{"go", "streams", redis.Port(), "acks", recovering})
	c, err := dialSocket(t, server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patienceLimit)
	defer cancel()
	var want, got []string
	for i := range 20 {
		if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `42%d["say-and-ask",%d]`, i, i)); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf(`["said",%d`, i), fmt.Sprintf(`["ask",%d`, i), fmt.Sprintf(`43%d[%d`, i, i))
	}
	frame := regexp.MustCompile(`^42\d*(\["(?:said|ask)",\d+)|^(43\d+\[\d+)`)
	for len(got) < len(want) {
		_, b, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("%v, after %q", err, got)
		}
		if m := frame.FindSubmatch(b); m != nil {
			got = append(got, string(m[1])+string(m[2]))
		} else if err := c.Write(ctx, websocket.MessageText, []byte("3")); err != nil { // a ping
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("came %q", got)
	}
}

func TestTheLastStateOfASessionStays(t *testing.T) {
	if adapter.KeepsLate(socket.NewServer(nil, nil).Sockets()) {
		t.Error("what was seen before the end is kept in place of what it was then")
	}
}
