package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Event is something that has happened to a cluster or a replica.
type Event struct {
	ID      uint64    `json:"id" doc:"counts the events of this replica"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind" doc:"ejected, works_again, no_node, node_available, unhealthy, healthy, panic, panic_over, drain, undrain, rebalance, discovery, discovered, node, release, reload, store, certificate, auth, fault, storm, move"`
	Cluster string    `json:"cluster,omitempty"`
	Node    string    `json:"node,omitempty"`
	Text    string    `json:"text,omitempty"`
}

const (
	// mostRemembered is how many events a client that comes later is told.
	mostRemembered = 256
	// eventsBehind is how many events a client may be behind before its connection is closed; it comes back and says which it had last.
	eventsBehind = 64
	// beatEvery is how often something is sent, so that proxies keep the connection.
	beatEvery = 15 * time.Second
	// eventTime bounds one write.
	eventTime = 10 * time.Second
	// mostStreams is how many may listen at a time, and how many may look at packets.
	mostStreams = 64
)

// Events remembers what has happened lately and tells those who listen. The zero value has none. Its methods may be called
// concurrently and never wait.
type Events struct {
	mu        sync.Mutex
	last      uint64
	all       []Event
	listeners map[chan Event]struct{}
}

// Add tells of an event; its ID and, if it has none, its time are set here.
func (e *Events) Add(v Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	v.ID = e.last
	if v.Time.IsZero() {
		v.Time = time.Now().UTC()
	}
	if len(e.all) == mostRemembered {
		e.all = append(e.all[:0], e.all[1:]...)
	}
	e.all = append(e.all, v)
	for c := range e.listeners {
		select {
		case c <- v:
		default:
			delete(e.listeners, c)
			close(c)
		}
	}
}

// listen returns the events after a given one that are still known, and a channel of those to come, which is closed when its reader
// is too slow; nil where too many listen.
func (e *Events) listen(after uint64) ([]Event, chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.listeners) >= mostStreams {
		return nil, nil
	}
	var known []Event
	for _, v := range e.all {
		if v.ID > after || after > e.last { // that was another process's
			known = append(known, v)
		}
	}
	c := make(chan Event, eventsBehind)
	if e.listeners == nil {
		e.listeners = map[chan Event]struct{}{}
	}
	e.listeners[c] = struct{}{}
	return known, c
}

func (e *Events) leave(c chan Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.listeners, c)
}

// events answers with what happens.
func (a *api) events(w http.ResponseWriter, q *http.Request) { a.tell(w, q, nil) }

func tooManyStreams(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	write(w, http.StatusServiceUnavailable, Failure{fmt.Sprintf("there are %d streams already", mostStreams)})
}

// tell answers with server-sent events (HTML Living Standard, 9.2): those that have just happened, and then those that do and what
// comes on more, if it is not nil.
func (a *api) tell(w http.ResponseWriter, q *http.Request, more <-chan []byte) {
	after, _ := strconv.ParseUint(q.Header.Get("Last-Event-ID"), 10, 64)
	known, next := a.Events.listen(after)
	if next == nil {
		tooManyStreams(w)
		return
	}
	defer a.Events.leave(next)
	send := sender(w)
	first := []byte(": events of this replica\n\n")
	for _, v := range known {
		first = v.append(first)
	}
	if !send(first) {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		text := []byte(": \n\n")
		select {
		case <-q.Context().Done():
			return
		case <-beat.C:
		case v, open := <-next:
			if !open {
				return
			}
			text = v.append(nil)
		case text = <-more:
		}
		if !send(text) {
			return
		}
	}
}

// sender begins an answer of server-sent events, and returns what sends some and reports whether they were taken.
func sender(w http.ResponseWriter) func([]byte) bool {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep them back
	control := http.NewResponseController(w)
	return func(text []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(eventTime))
		_, err := w.Write(text)
		return err == nil && control.Flush() == nil
	}
}

// append adds the event as it is sent.
func (v Event) append(to []byte) []byte {
	data, _ := json.Marshal(v) // of strings and numbers, so there is no error
	return fmt.Appendf(to, "id: %d\nevent: %s\ndata: %s\n\n", v.ID, v.Kind, data)
}
