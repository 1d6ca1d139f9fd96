package replica_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio/engineiotest"
)

func TestEndsGracefully(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	r := start(t, settings(node))
	tunnel := open(t, r)
	idle, err := net.Dial("tcp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	_, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	sid := strings.Split(body, `"`)[3]
	poll, err := net.Dial("tcp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	fmt.Fprintf(poll, "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", sid)
	node.WaitUntil("the poll waits", func() bool { return node.Polling(sid) })

	r.stop()
	for {
		if status, _ := fetch(t, r.adminURL("/readyz")); status == 503 {
			break
		}
	}
	if _, _, err := tunnel.Read(t.Context()); err == nil {
		t.Error("the tunnel goes on")
	}
	select {
	case err := <-r.done:
		t.Errorf("ended while a poll was in flight: %v", err)
		r.done <- err
	default:
	}
	node.Send(sid, "last words")
	resp, err := http.ReadResponse(bufio.NewReader(poll), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "4last words" || !resp.Close {
		t.Errorf("the poll got %d %q, close %v", resp.StatusCode, body, resp.Close)
	}
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection is still open")
	}
	if _, err := net.Dial("tcp", r.Addrs()[0].String()); err == nil {
		t.Error("it still listens")
	}
}

func TestDeadlineEndsWhatDoesNotEnd(t *testing.T) {
	node := engineiotest.Start(t, engineiotest.Options{})
	node.Script(func(w http.ResponseWriter, q *http.Request) bool { // it has no WebSocket by which a poll can be released
		refused := q.URL.Query().Get("transport") == "websocket"
		if refused {
			w.WriteHeader(http.StatusBadRequest)
		}
		return refused
	})
	cfg := settings(node)
	cfg.Shutdown.Deadline = 300 * time.Millisecond
	r := start(t, cfg)
	_, body := fetch(t, r.url("/socket.io/?EIO=4&transport=polling"))
	sid := strings.Split(body, `"`)[3]
	poll, err := net.Dial("tcp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	fmt.Fprintf(poll, "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", sid)
	node.WaitUntil("the poll waits", func() bool { return node.Polling(sid) })
	r.stop()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	if n, _ := poll.Read(make([]byte, 1)); n != 0 {
		t.Error("the poll got an answer from nowhere")
	}
}
