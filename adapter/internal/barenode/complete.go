package main

import (
	"bufio"
	"net"
	"net/http"
)

// completed lets a session's handler return before the session's first frame is read. The library sends the open packet
// of a WebSocket session, and starts to read from it, before it listens for what the client answers; a fast client's
// first frame would be lost now and then.
func completed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		defer close(done)
		next.ServeHTTP(&completedWriter{ResponseWriter: w, done: done}, r)
	})
}

type completedWriter struct {
	http.ResponseWriter
	done <-chan struct{}
}

// Hijack hands the connection out with its reads held until the handler has returned.
func (w *completedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &completedConn{Conn: conn, done: w.done}, rw, nil
}

type completedConn struct {
	net.Conn
	done <-chan struct{}
}

func (c *completedConn) Read(p []byte) (int, error) {
	<-c.done
	return c.Conn.Read(p)
}
