package gateway

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher tells clients that closed their connection while their request is in flight. A goroutine that waits for a
// node cannot see it, so one epoll set watches the descriptors of all clients that ever waited, for RDHUP alone.
type watcher struct {
	epoll *os.File
	fd    int
	ended chan struct{}

	mu      sync.Mutex
	watched map[uint64]watch // by a number that is never used again, so that an old event meets no new client
	last    uint64
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // os.NewFile hands only such descriptors to Go's own poller
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &watcher{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, ended: make(chan struct{}), watched: map[uint64]watch{}}
	go w.run()
	return w, nil
}

// add begins to watch c; once that is so, it costs nothing. Only c's own goroutine may call it.
func (w *watcher) add(c *client) {
	if c.watch.key != 0 {
		return
	}
	w.mu.Lock()
	w.last++
	t, ok := newWatch(c, w.last)
	if ok {
		c.watch = t
		w.watched[t.key] = t
	}
	w.mu.Unlock()
	if !ok {
		return
	}
	t.raw.Control(func(fd uintptr) {
		e := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(t.key), Pad: int32(t.key >> 32)}
		unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, int(fd), &e)
	})
}

// remove ends the watch over c. Only c's own goroutine may call it, before its connection is closed or handed over.
func (w *watcher) remove(c *client) {
	if c.watch.key == 0 {
		return
	}
	w.mu.Lock()
	delete(w.watched, c.watch.key)
	w.mu.Unlock()
	c.watch.raw.Control(func(fd uintptr) { unix.EpollCtl(w.fd, unix.EPOLL_CTL_DEL, int(fd), nil) })
	c.watch = watch{}
}

func (w *watcher) run() {
	defer close(w.ended)
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n := 0
		if err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0
		}); err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			w.mu.Lock()
			t, ok := w.watched[uint64(uint32(e.Pad))<<32|uint64(uint32(e.Fd))]
			w.mu.Unlock()
			if ok {
				t.hup(true)
			}
		}
	}
}

// close ends the watcher; its clients are told nothing more.
func (w *watcher) close() {
	w.epoll.Close()
	<-w.ended
}
