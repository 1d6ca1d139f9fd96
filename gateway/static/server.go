package static

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

const (
	// headerTime is how long a request's head may take. The gateway sends it at once.
	headerTime = 10 * time.Second
	// idleTime is longer than the gateway keeps a connection to a node that announces nothing, so that a request never crosses
	// its end.
	idleTime = time.Minute
	// longWait is how long a connection may wait for others before it is told of.
	longWait = time.Second
)

// Options are what a Server is made of.
type Options struct {
	Dirs []Dir // of two that have a path the one with the longer prefix serves it
	// Connections is how many there may be at once. Each takes two descriptors; further ones wait, and are told of. 0: no limit.
	Connections int
	Log         *slog.Logger
}

// Server serves files on a loopback address. Its methods may be called concurrently.
type Server struct {
	addr    string
	files   atomic.Pointer[files]
	gone    sync.Map // the directories, by their names, that a request found gone
	log     *slog.Logger
	bounded *bounded // nil: there may be any number of connections
	http    http.Server
	ended   chan struct{} // Serve has returned
}

// Serve begins to serve. Close ends it.
func Serve(o Options) (*Server, error) {
	s := &Server{ended: make(chan struct{}), log: o.Log}
	if err := s.Update(o.Dirs); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	s.addr = l.Addr().String()
	if o.Connections > 0 {
		told := notice.Limiter[struct{}]{Pause: time.Minute}
		b := &bounded{Listener: l, open: make(chan struct{}, o.Connections), closed: make(chan struct{}), full: func() {
			if told.Due(struct{}{}) {
				o.Log.Warn("requests for files wait for others: so many are sent to slow clients", "files", o.Connections)
			}
		}}
		l, s.bounded = b, b
	}
	s.http = http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		ErrorLog:          notice.ServerLog(o.Log),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("files are not served any more", "error", err)
		}
	}()
	return s, nil
}

// Addr returns the host:port where files are served.
func (s *Server) Addr() string { return s.addr }

// Update serves these directories in place of those before. It changes nothing where one of them is not to be had.
func (s *Server) Update(dirs []Dir) error {
	if err := Check(dirs); err != nil {
		return err
	}
	all := files(slices.Clone(dirs))
	slices.SortFunc(all, func(a, b Dir) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	s.files.Store(&all)
	return nil
}

// Check returns what keeps directories from being served.
func Check(dirs []Dir) error {
	for i := range dirs {
		if err := dirs[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.bounded.isHalfFull() {
		w.Header().Set("Connection", "close")
	}
	s.files.Load().serve(w, r, s.tell)
}

// tell logs that a directory is gone, or there again, once each. A want of descriptors says nothing of it.
func (s *Server) tell(d *Dir, err error) {
	if err == nil {
		if _, was := s.gone.LoadAndDelete(d.Dir); was {
			s.log.Info("files are served again, their directory is back", "prefix", d.Prefix, "directory", d.Dir)
		}
	} else if statusOf(err) != http.StatusServiceUnavailable {
		if _, known := s.gone.LoadOrStore(d.Dir, true); !known {
			s.log.Error("files cannot be served, their directory is not to be had", "prefix", d.Prefix, "error", err)
		}
	}
}

// Close serves no further request, and returns when those in hand are answered; when ctx is done it cuts them.
func (s *Server) Close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	<-s.ended
}

// bounded is a listener that accepts no more connections than may be open at once.
type bounded struct {
	net.Listener
	open chan struct{} // holds as many as are open
	full func()        // is told that connections wait

	closed chan struct{} // when the listener is
	once   sync.Once
}

func (b *bounded) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case b.open <- struct{}{}:
	default:
		late := time.AfterFunc(longWait, b.full)
		defer late.Stop()
		select {
		case b.open <- struct{}{}:
		case <-b.closed:
			c.Close()
			return nil, net.ErrClosed
		}
	}
	return &counted{c.(*net.TCPConn), sync.OnceFunc(func() { <-b.open })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// isHalfFull reports whether connections are better not kept: each of them keeps others out while it has no request.
func (b *bounded) isHalfFull() bool { return b != nil && 2*len(b.open) > cap(b.open) }

// counted is a connection that makes room for another when it is closed.
type counted struct {
	*net.TCPConn // with what sends files
	end          func()
}

func (c *counted) Close() error {
	defer c.end()
	return c.TCPConn.Close()
}
