package gateway_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
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
