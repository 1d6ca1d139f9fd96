package main

import (
	"net/http"
	"sync"
	"time"
)

// quiet holds each upgrade until the client has the session's greeting. While a session upgrades, the library ends its
// pending poll with a noop from a goroutine of its own, without regard to a message that is just being written to that
// poll: one of the two is lost, and where it is the answer to CONNECT, the client hangs.
type quiet struct {
	mu      sync.Mutex
	greeted map[string]chan struct{}
}

// holdUpgrade bounds the wait; what comes after is the library's to judge.
const holdUpgrade = 8 * time.Second

func (q *quiet) begin(sid string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.greeted == nil {
		q.greeted = map[string]chan struct{}{}
	}
	q.greeted[sid] = make(chan struct{})
}

func (q *quiet) reached(sid string) {
	if c := q.of(sid); c != nil {
		close(c)
	}
}

func (q *quiet) end(sid string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.greeted, sid)
}

func (q *quiet) of(sid string) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.greeted[sid]
}

func (q *quiet) upgrades(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sid := r.URL.Query().Get("sid"); sid != "" && r.Header.Get("Upgrade") != "" {
			q.wait(r, sid)
		}
		next.ServeHTTP(w, r)
	})
}

func (q *quiet) wait(r *http.Request, sid string) {
	greeted := q.of(sid)
	if greeted == nil {
		return
	}
	limit := time.NewTimer(holdUpgrade)
	defer limit.Stop()
	select {
	case <-greeted:
	case <-limit.C:
	case <-r.Context().Done():
	}
}
