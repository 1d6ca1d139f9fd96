package adapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// mend is a defect of the library and what shows that it is mended. Each is run against a hardened server, where it must
// hold, and against the library as it is, where it must not: a mend that nothing needs is to be removed.
type mend struct {
	name    string
	options string
	chance  bool // the defect is a race, which the library may win
	check   func(t *testing.T, server *proc) error
}

var mends = []mend{
	{"event without payload", "", false, frameSurvived("42")},
	{"binary event without payload", "", false, frameSurvived("450-")},
	{"acknowledgement without payload", "", false, emptyAcknowledgement},
	{"order of events", "", false, eventsInOrder},
	{"last events before the disconnection", "", true, lastEvents},
	{"burst of broadcasts", "", false, burst},
	{"events before the handlers are there", `"slowSetup":100`, false, earlyEvent},
	{"auth", "", false, emptyAuth},
	{"pong before the session is complete", "", true, earlyPong},
	{"packet above 64 KiB by polling", "", false, largePoll},
	{"chunked body above the limit", "", false, chunkedAboveLimit},
	{"refused origin", `"origin":"http://good.example"`, false, refusedOrigin},
	{"last packet of the server", "", true, farewell},
	{"last packet of the server beside a poll", "", true, farewellBesidePoll},
	{"unreadable payload of EIO 3", "", false, unreadable3},
	{"endless payload of EIO 3", "", false, endless3},
	{"binary POST of EIO 4", "", false, binaryPost},
	{"session found at once", "", true, fastClient},
	{"recovery on this Go version", `"server":{"connectionStateRecovery":{"maxDisconnectionDuration":1000}}`, false, connects},
}

func TestMends(t *testing.T) {
	for _, c := range mends {
		t.Run(c.name, func(t *testing.T) {
			if err := tryMend(t, c, false); err != nil {
				t.Errorf("hardened: %v", err)
			}
			err := tryMend(t, c, true)
			if err == nil && !c.chance {
				t.Error("the library does not need this mend")
			}
			t.Logf("the library as it is: %v", err)
		})
	}
}

func tryMend(t *testing.T, c mend, plain bool) error {
	t.Helper()
	options := fmt.Sprintf(`{"plain":%v`, plain)
	if c.options != "" {
		options += "," + c.options
	}
	server, err := launchServer(t, options+"}")
	if err != nil {
		return err
	}
	return c.check(t, server)
}

// launchServer starts a server without Redis, which may die at once.
func launchServer(t *testing.T, options string) (*proc, error) {
	t.Helper()
	path, err := goNode()
	if err != nil {
		t.Fatal(err)
	}
	p := launchProc(t, "go", path, "alone", "0", "x", options)
	p.quiet = true
	if !p.within(patienceLimit, func() bool { return p.ready }) {
		return nil, errors.New("the server does not start")
	}
	return p, nil
}

// alive tells whether the server still serves: that its process lives and a new client connects.
func alive(t *testing.T, server *proc) error {
	t.Helper()
	c, err := dialSocket(t, server)
	if err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	return c.CloseNow()
}

// dialSocket opens a WebSocket and connects to the main namespace by hand.
func dialSocket(t *testing.T, server *proc) (*websocket.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patienceLimit/4)
	defer cancel()
	c, _, err := websocket.Dial(ctx, server.url()+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(1 << 24)
	if _, _, err := c.Read(ctx); err != nil {
		return nil, err
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
		return nil, err
	}
	_, b, err := c.Read(ctx)
	if err == nil && !bytes.HasPrefix(b, []byte("40")) {
		err = fmt.Errorf("connected with %q", b)
	}
	return c, err
}

// frameSurvived sends one frame and looks whether the server survives it.
func frameSurvived(frame string) func(*testing.T, *proc) error {
	return func(t *testing.T, server *proc) error {
		c, err := dialSocket(t, server)
		if err != nil {
			return err
		}
		if err := c.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), patienceLimit)
		defer cancel()
		_, _, err = c.Read(ctx) // ends by the server's close, or its death
		if err == nil {
			return errors.New("the connection goes on")
		}
		return alive(t, server)
	}
}

// emptyAcknowledgement answers a question with nothing behind its number.
func emptyAcknowledgement(t *testing.T, server *proc) error {
	c, err := dialSocket(t, server)
	if err != nil {
		return err
	}
	server.send(m{"timeout": 5000}, "emitWithAck", "ask")
	_, b, err := c.Read(t.Context())
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(string(b), "42"), "[")
	if err := c.Write(t.Context(), websocket.MessageText, []byte("43"+id)); err != nil {
		return err
	}
	if _, _, err := c.Read(t.Context()); err == nil {
		return errors.New("the connection goes on")
	}
	return alive(t, server)
}

func eventsInOrder(t *testing.T, server *proc) error {
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url(), m{"transports": []any{"websocket"}})
	clients.await("c", "connect", 1)
	const n = 500
	clients.do(nil, "burst", "c", "seq", n)
	return inOrder(server, n)
}

// inOrder waits for n events at the server and compares their order.
func inOrder(server *proc, n int) error {
	var seqs []any
	for end := time.Now().Add(patienceLimit); time.Now().Before(end) && len(seqs) < n; {
		v, err := server.try(nil, "seqs")
		if err != nil {
			return err
		}
		seqs, _ = v.([]any)
	}
	for i, s := range seqs {
		if s != float64(i) {
			return fmt.Errorf("event %v came as number %d", s, i)
		}
	}
	if len(seqs) != n {
		return fmt.Errorf("%d of %d events", len(seqs), n)
	}
	return nil
}

func lastEvents(t *testing.T, server *proc) error {
	const n = 60
	for i := range n {
		c, err := dialSocket(t, server)
		if err != nil {
			return err
		}
		for _, frame := range []string{fmt.Sprintf(`42["seq",%d]`, i), "41"} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
				return err
			}
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	return heard(server, n)
}

// heard waits, but not long, for n events at the server.
func heard(server *proc, n int) error {
	var seqs []any
	for end := time.Now().Add(patienceLimit / 5); time.Now().Before(end); {
		v, err := server.try(nil, "seqs")
		if err != nil {
			return err
		}
		if seqs, _ = v.([]any); len(seqs) == n {
			return nil
		}
	}
	return fmt.Errorf("%d of %d events", len(seqs), n)
}

func burst(t *testing.T, server *proc) error {
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url(), m{"transports": []any{"websocket"}})
	clients.await("c", "connect", 1)
	const n = 300
	server.do(nil, "flood", "b", n, 0)
	clients.within(patienceLimit/10, func() bool { return len(clients.gotLocked("c", "b")) >= n })
	got := clients.got("c", "b")
	for i, args := range got {
		if args[0] != float64(i) {
			return fmt.Errorf("event %v came as number %d", args[0], i)
		}
	}
	if len(got) != n {
		return fmt.Errorf("%d of %d events", len(got), n)
	}
	return nil
}

// earlyEvent sends events as soon as the server says that the client is connected.
func earlyEvent(t *testing.T, server *proc) error {
	c, err := dialSocket(t, server)
	if err != nil {
		return err
	}
	for i := range 3 {
		if err := c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `42["seq",%d]`, i)); err != nil {
			return err
		}
	}
	return heard(server, 3)
}

func emptyAuth(t *testing.T, server *proc) error {
	c, err := dialSocket(t, server)
	if err != nil {
		return err
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte(`420["whoami"]`)); err != nil {
		return err
	}
	_, b, err := c.Read(t.Context())
	if err == nil && !bytes.Contains(b, []byte(`"auth":{}`)) {
		return fmt.Errorf("the socket is %s", b)
	}
	return err
}
