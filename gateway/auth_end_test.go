package gateway_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/auth"
)

// untilGate lets everybody in, for so many seconds.
type untilGate int64

func (u untilGate) Judge(*auth.Ask) (auth.Verdict, func() auth.Verdict) {
	return auth.Verdict{Ends: time.Now().Unix() + int64(u)}, nil
}

func (untilGate) Fault() (*auth.Fault, bool) { return nil, false }

func (untilGate) Close() {}

// A session ends with its token, whatever it does then, and at each replica: the waiting poll gets the close packet, so do later
// ones, and a WebSocket ends as by a drain.
func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	store := affinity.NewMemory(100)
	replica := func(node *engineiotest.Node) *site {
		return startGateway(t, withEngines(node), withStore(store), withAuth(&gateway.Auth{Gate: untilGate(2)}))
	}
	node := engineiotest.Start(t, engineiotest.Options{})
	one, two := replica(node), replica(node)
	for version, packet := range map[string]string{"EIO=4": "1", "EIO=3": "1:1"} {
		polling, socket := "/socket.io/?"+version+"&transport=polling", "/socket.io/?"+version+"&transport=websocket"
		direct := dial(t, one.addr)
		direct.websocket(socket)
		direct.message()
		made := dial(t, one.addr)
		moved := made.handshake(polling)
		upgraded := dial(t, two.addr)
		upgraded.websocket(socket + "&sid=" + moved)
		upgraded.send(masked("2probe"))
		upgraded.message()
		sid := made.handshake(polling)
		began := time.Now()
		dial(t, two.addr).expect(get(polling+"&sid="+sid), 200, packet)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the poll was answered after %v", took)
		}
		node.WaitUntil("the node has ended the session", func() bool { return node.Ended(sid) != "" })
		direct.ended()
		upgraded.ended()
		eventually(t, "the binding is gone", func() bool {
			_, err := store.Lookup(t.Context(), sid)
			return err != nil
		})
		// of the session that moved, the binding is still there
		c := dial(t, one.addr)
		c.expect(request("OPTIONS", polling+"&sid="+moved, "", "Access-Control-Request-Method: GET", "Origin: https://a.example.com"), 204, "")
		w := dial(t, one.addr)
		w.send(get(socket+"&sid="+moved, asksWebSocket...))
		if r := w.answer(); r.StatusCode != 400 || r.Text != "Session ID unknown" {
			t.Errorf("an upgrade got %d %s", r.StatusCode, r.Text)
		}
	}
	eventually(t, "the tunnels are told of", func() bool {
		return one.metric("sidway_tunnels_ended_total", "token_expired") == 2 && two.metric("sidway_tunnels_ended_total", "token_expired") == 2
	})
	if n := two.metric("sidway_local_responses_total", "token_expired"); n != 2 {
		t.Errorf("%v polls were ended", n)
	}
}

// A POST after the end gets what nodes say of a session that is no more, and so does a poll after that.
func TestAPostAfterTheEnd(t *testing.T) {
	t.Parallel()
	node := engineiotest.Start(t, engineiotest.Options{})
	s := startGateway(t, withEngines(node))
	c := dial(t, s.addr)
	for _, ended := range []bool{false, true} {
		sid := c.handshake(handshakeTarget)
		b, err := s.store.Lookup(t.Context(), sid)
		if err != nil {
			t.Fatal(err)
		}
		if b.Ends = time.Now().Unix() + 3600; ended {
			b.Ends = time.Now().Unix()
		}
		s.bindAs(sid, b)
		if !ended {
			c.expect(post(sid, "4hi"), 200, "ok")
			c.expect(get(pollTarget(sid)), 200, "4hi")
			continue
		}
		before := len(node.Requests())
		c.expect(post(sid, "4hi"), 400, `{"code":1,"message":"Session ID unknown"}`)
		if n := len(node.Requests()); n != before {
			t.Error("the node got a POST of a session that is over")
		}
		if n := s.sessions()["n1"]; n != 1 {
			t.Errorf("%d sessions are counted, one lives", n)
		}
		c.expect(get(pollTarget(sid)), 400, `{"code":1,"message":"Session ID unknown"}`)
	}
}
