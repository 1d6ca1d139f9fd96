package api

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// statusEvery is how often a status is sent.
const statusEvery = time.Second

// feed makes the status once a second, for all who listen, and not while nobody does.
type feed struct {
	status func() Status

	mu        sync.Mutex
	listeners map[chan []byte]struct{}
	stop      chan struct{} // ends the goroutine that there is while somebody listens
}

// join returns a channel of statuses as they are sent, the first one at once. A reader that is too slow misses some.
func (f *feed) join() chan []byte {
	c := make(chan []byte, 1)
	c <- statusEvent(f.status())
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
		text := statusEvent(f.status())
		f.mu.Lock()
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
	data, _ := json.Marshal(s) // of strings and numbers, so there is no error
	return append(append([]byte("event: status\ndata: "), data...), "\n\n"...)
}

// stream answers with the status, once a second, and with what happens.
func (a *api) stream(w http.ResponseWriter, q *http.Request) {
	c := a.feed.join()
	defer a.feed.leave(c)
	a.tell(w, q, c)
}
