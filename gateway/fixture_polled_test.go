package gateway_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// servePolled serves a request by polling, and finds what ends a session at other servers: two polls, or two POSTs, at a time.
func (n *restorer) servePolled(w http.ResponseWriter, r *http.Request) {
	sid := r.FormValue("sid")
	if sid == "" {
		sid = rand.Text()[:20]
		s := &socket{queue: make(chan string, 1000)}
		n.mu.Lock()
		n.sockets[s], n.polled[sid] = true, s
		n.mu.Unlock()
		fmt.Fprint(w, n.open(sid))
		return
	}
	n.mu.Lock()
	s := n.polled[sid]
	n.mu.Unlock()
	switch {
	case s == nil:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"code":1,"message":"Session ID unknown"}`)
	case r.Method == http.MethodPost:
		if s.posts.Add(1) > 1 {
			n.t.Error("two POSTs at a time")
		}
		body, _ := io.ReadAll(r.Body)
		for text := range strings.SplitSeq(string(body), "\x1e") {
			if text == "1" {
				n.mu.Lock()
				delete(n.polled, sid)
				n.mu.Unlock()
				s.say("6")
				go n.leave(s)
				continue
			}
			n.handle(s, []byte(text))
		}
		s.posts.Add(-1)
		fmt.Fprint(w, "ok")
	default:
		if s.polls.Add(1) > 1 {
			n.t.Error("two polls at a time")
		}
		defer s.polls.Add(-1)
		select {
		case text := <-s.queue:
			for len(s.queue) > 0 {
				text += "\x1e" + <-s.queue
			}
			fmt.Fprint(w, text)
		case <-r.Context().Done():
			n.mu.Lock()
			delete(n.polled, sid)
			n.mu.Unlock()
			n.leave(s)
		}
	}
}

// gotAll fails unless the client gets so many events, e0, e1…, in order.
func (m *member) gotAll(count int) {
	m.t.Helper()
	for i := range count {
		if got, want := m.next(), fmt.Sprintf(`42["e%d",`, i); !strings.HasPrefix(got, want) {
			m.t.Fatalf("the client got %s, want %s", got, want)
		}
	}
}

// haveAll waits until nodes have so many events of a client, c0, c1…, each of them in order.
func haveAll(t *testing.T, nodes []*restorer, count int) {
	t.Helper()
	eventually(t, "the nodes have all", func() bool {
		all := 0
		for _, n := range nodes {
			all += len(n.events())
		}
		return all == count
	})
	for _, n := range nodes {
		last := -1
		for _, e := range n.events() {
			var i int
			if fmt.Sscanf(e, `42["c%d"]`, &i); i <= last {
				t.Errorf("%s got %d behind %d", n.name, i, last)
			}
			last = i
		}
	}
}
