package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// statusEvery is how often a status is sent.
	statusEvery = time.Second
	// growth is how many statuses before the last one that is looked at for what grows.
	growth = 10
)

// feed makes the status once a second, for all who listen, and not while nobody does.
type feed struct {
	status func() Status

	mu        sync.Mutex
	listeners map[chan []byte]struct{}
	stop      chan struct{} // ends the goroutine that there is while somebody listens
	lately    []Status      // the last that were sent, the oldest first; none while nobody listens
}

// now returns the status, and what is wrong.
func (f *feed) now() Status {
	s := f.status()
	f.mu.Lock()
	var before *Status
	if len(f.lately) > 0 {
		before = &f.lately[0] // which does not change
	}
	f.mu.Unlock()
	s.judge(before)
	return s
}

// join returns a channel of statuses as they are sent, the first one at once. A reader that is too slow misses some.
func (f *feed) join() chan []byte {
	c := make(chan []byte, 1)
	c <- statusEvent(f.now())
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) == 0 {
		f.listeners, f.stop = map[chan []byte]struct{}{}, make(chan struct{})
		go f.run(f.stop)
	}
	f.listeners[c] = struct{}{}
	return c
}

func (f *feed) leave(c chan []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, c)
	if len(f.listeners) == 0 {
		close(f.stop)
		f.lately = nil
	}
}

func (f *feed) run(stop chan struct{}) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		s := f.now()
		text := statusEvent(s)
		f.mu.Lock()
		if len(f.listeners) == 0 {
			f.mu.Unlock()
			return
		}
		if f.lately = append(f.lately, s); len(f.lately) > growth {
			f.lately = slices.Clone(f.lately[1:])
		}
		for c := range f.listeners {
			select {
			case c <- text:
			default:
			}
		}
		f.mu.Unlock()
	}
}

// statusEvent is a status as it is sent. It has no id, so that a client that comes back names the last of the events proper.
func statusEvent(s Status) []byte {
	return event("status", s)
}

// event is what is sent of v, which is made of strings and numbers, so that there is no error.
func event(kind string, v any) []byte {
	data, _ := json.Marshal(v)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, data)
}

// stream answers with the status, once a second, and with what happens.
func (a *api) stream(w http.ResponseWriter, q *http.Request) {
	c := a.feed.join()
	defer a.feed.leave(c)
	a.tell(w, q, c)
}

// packets answers with a session's packets as they pass, until it ends.
func (a *api) packets(w http.ResponseWriter, q *http.Request) {
	defer a.watching.Add(-1)
	if a.watching.Add(1) > mostStreams {
		tooManyStreams(w)
		return
	}
	next, err := a.Packets(q.Context(), q.PathValue("sid"))
	if err != nil {
		write(w, statusOf(err), Failure{err.Error()})
		return
	}
	send := sender(w)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for text := []byte(": packets of this session\n\n"); send(text); {
		select {
		case p, open := <-next:
			if !open {
				return
			}
			text = event("packet", p)
		case <-beat.C:
			text = []byte(": \n\n")
		case <-q.Context().Done():
			return
		}
	}
}
