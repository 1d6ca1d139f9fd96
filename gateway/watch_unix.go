//go:build unix && !linux

package gateway

import (
	"sync"
	"time"
)

// watcher tells clients that closed their connection while their request is in flight. Without epoll it looks at each
// connection every 50 ms, which is enough to develop on.
type watcher struct {
	stop, ended chan struct{}

	mu      sync.Mutex
	watched map[uint64]watch
	last    uint64
}

func newWatcher() (*watcher, error) {
	w := &watcher{stop: make(chan struct{}), ended: make(chan struct{}), watched: map[uint64]watch{}}
	go w.run()
	return w, nil
}

func (w *watcher) add(c *client) {
	if c.watch.key != 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	if t, ok := newWatch(c, w.last); ok {
		c.watch = t
		w.watched[t.key] = t
	}
}

func (w *watcher) remove(c *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watched, c.watch.key)
	c.watch = watch{}
}

func (w *watcher) run() {
	defer close(w.ended)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		all := make([]watch, 0, len(w.watched))
		for _, t := range w.watched {
			all = append(all, t)
		}
		w.mu.Unlock()
		for _, t := range all {
			t.hup(false)
		}
	}
}

func (w *watcher) close() {
	close(w.stop)
	<-w.ended
}
