package gateway

import (
	"errors"
	"net"
	"time"
)

// The pause after an accept that failed for want of descriptors: the connections wait in the kernel until some are free.
const (
	acceptPause     = 5 * time.Millisecond
	acceptPauseMost = 500 * time.Millisecond
	// acceptQuiet is how long all goes well before the log tells of the next shortage.
	acceptQuiet = 10 * time.Second
)

// Listen takes l over and serves the connections that come by it, until Drain or Close closes it. It returns at once.
func (g *Gateway) Listen(l net.Listener) {
	if g.lanes.listen(l) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deaf {
		l.Close()
		return
	}
	g.listeners = append(g.listeners, l)
	g.serving.Go(func() { g.accept(l) })
}

// accept gives each connection of l a goroutine, until l is closed.
func (g *Gateway) accept(l net.Listener) {
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			go g.Serve(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if pause == 0 {
				g.Log.Warn("no connection can be accepted", "error", err)
			}
			pause = min(max(2*pause, acceptPause), acceptPauseMost)
			time.Sleep(pause)
		}
	}
}

// stopListening closes all listeners.
func (g *Gateway) stopListening() {
	g.lanes.stopListening()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deaf = true
	for _, l := range g.listeners {
		l.Close()
	}
}
