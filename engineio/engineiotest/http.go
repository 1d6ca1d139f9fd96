package engineiotest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
)

// ServeHTTP answers one request. Paths that do not begin with /socket.io/ are echoed: method, target and body.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !n.begin() {
		panic(http.ErrAbortHandler)
	}
	defer n.serving.Done()
	if n.o.KeepAlive > 0 {
		w.Header().Set("Keep-Alive", fmt.Sprintf("timeout=%d", n.o.KeepAlive/time.Second))
	}
	body, err := n.takeBody(w, r)
	n.mu.Lock()
	n.requests = append(n.requests, Request{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Body: body, Remote: r.RemoteAddr,
	})
	script, held := n.script, n.held
	n.changeLocked()
	n.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case script != nil && script(w, r):
	case err != nil:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case strings.HasPrefix(r.URL.Path, "/socket.io/"):
		n.serve(w, r, body)
	default:
		_, _ = w.Write(append([]byte(r.Method+" "+r.RequestURI+"\n"), body...))
	}
}

// begin counts a request as running, unless the node goes down and waits for those that run.
func (n *Node) begin() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return false
	}
	n.serving.Add(1)
	return true
}

// takeBody reads a request's body up to what a payload may have.
func (n *Node) takeBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodOptions {
		return nil, nil
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, n.o.MaxPayload))
}

// serve answers a request to Engine.IO in the order in which Node's engine.io judges it (lib/server.ts, verify).
func (n *Node) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	n.allow(w, r)
	q, err := engineio.ParseQuery(r.URL.RawQuery)
	n.mu.Lock()
	s := n.sessions[q.SID]
	n.mu.Unlock()
	upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	switch {
	case r.Method == http.MethodOptions && (q.SID == "" || s != nil || !n.o.StrictPreflight):
		w.WriteHeader(http.StatusNoContent)
	case err != nil:
		refuse(w, upgrade, err.(*engineio.Error))
	case q.SID != "" && s == nil:
		refuse(w, upgrade, engineio.ErrSIDUnknown)
	case s != nil && s.version != q.Version, upgrade != (q.Transport == engineio.WebSocket):
		refuse(w, upgrade, engineio.ErrBadRequest)
	case s == nil && r.Method != http.MethodGet:
		refuse(w, upgrade, engineio.ErrBadHandshakeMethod)
	case s == nil && q.Version == 3 && n.o.NoEIO3:
		refuse(w, upgrade, engineio.ErrUnsupportedVersion)
	case upgrade:
		n.serveWebSocket(w, r, q, s)
	case s == nil:
		n.poll(w, r, n.newSession(q, n.o.SID()), q)
	case r.Method == http.MethodPost:
		n.post(w, r, s, q, body)
	default:
		n.poll(w, r, s, q)
	}
}

// allow sets the CORS headers of npm's cors with {origin: true, credentials: true}.
func (n *Node) allow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	}
}

func refuse(w http.ResponseWriter, upgrade bool, e *engineio.Error) {
	kind := engineio.PollGET
	if upgrade {
		kind = engineio.WebSocketGET
		w.Header().Set("Connection", "close")
	}
	a := engineio.AnswerFor(kind, engineio.Query{}, e.Cause())
	w.Header().Set("Content-Type", a.ContentType)
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// poll waits until there is something to say to the client.
func (n *Node) poll(w http.ResponseWriter, r *http.Request, s *session, q engineio.Query) {
	n.mu.Lock()
	if s.polling || s.upgraded {
		if s.polling {
			n.endLocked(s, PollOverlap)
		}
		n.mu.Unlock()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.polling = true
	if s.closing {
		n.endLocked(s, NodeClosed)
	}
	n.changeLocked()
	n.mu.Unlock()
	for {
		packets := n.takePackets(s)
		if len(packets) > 0 {
			body, contentType := n.encode(s, packets, q.JSONP)
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("Content-Length", strconv.Itoa(len(body)))
			h.Set("Cache-Control", "no-store")
			if s.version == 3 {
				h.Set("Set-Cookie", "io="+s.id+"; Path=/; HttpOnly; SameSite=Strict")
			}
			_, _ = w.Write(body)
			return
		}
		select {
		case <-s.wakePoll:
		case <-r.Context().Done():
			n.end(s, PollAborted)
			return
		}
	}
}

// takePackets takes what a waiting poll is to be answered with, nil while it has to wait. The poll no longer waits
// when it gets something.
func (n *Node) takePackets(s *session) []packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	packets := s.queue
	switch {
	case s.over == NodeDown:
		// A node that is killed says nothing more.
		panic(http.ErrAbortHandler)
	case s.upgraded, s.over == ClientClosed:
		packets = []packet{{kind: '6'}}
	case s.over != "":
		packets = append(packets, packet{kind: '1'})
		s.queue = nil
	default:
		s.queue = nil
	}
	if len(packets) > 0 {
		s.polling = false
		n.changeLocked()
	}
	return packets
}

// post takes packets from the client.
func (n *Node) post(w http.ResponseWriter, r *http.Request, s *session, q engineio.Query, body []byte) {
	packets, err := decode(q, r.Header.Get("Content-Type"), body)
	if err != nil {
		n.end(s, BadPayload)
		refuse(w, false, engineio.ErrBadRequest)
		return
	}
	n.receive(s, packets)
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "ok")
}
