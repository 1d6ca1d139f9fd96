package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/notice"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
)

// The pause after an accept that failed for want of descriptors: the connections wait in the kernel until some are free.
const (
	acceptPause     = 5 * time.Millisecond
	acceptPauseMost = 500 * time.Millisecond
	// acceptQuiet is how long all goes well before the log tells of the next shortage.
	acceptQuiet = 10 * time.Second
)

// ListenOptions say what is spoken at a listener, and by whom.
type ListenOptions struct {
	TLS *tls.Config // nil: plain HTTP
	// ProxyProtocol has each connection begin with a header of the PROXY protocol, in front of TLS, which must come from a trusted proxy or
	// by a Unix socket.
	ProxyProtocol bool
	Redirect      *Redirect // nil: clients are served here
}

// Listen takes l over, a TCP or Unix socket, and serves the connections that come by it until Stop or Close closes it. The error
// says that no descriptor is left. l is closed at once, so the file of a Unix socket must not go with that (SetUnlinkOnClose).
func (g *Gateway) Listen(l net.Listener, o ListenOptions) error {
	defer l.Close()
	fd, err := descriptor(l)
	if err != nil {
		return err
	}
	sock.PrepareListener(fd)
	a := &acceptor{ListenOptions: o, g: g, d: g.drivers[0], listener: l, fd: fd, spare: -1, port: addrPort(l.Addr()).Port()}
	a.warned.Pause = acceptQuiet
	a.Init(a)
	a.d.do(func() { err = a.open() })
	return err
}

// SetListenOptions has connections that come from now on by a listener that Listen took over follow other options.
func (g *Gateway) SetListenOptions(l net.Listener, o ListenOptions) {
	d := g.drivers[0]
	d.do(func() {
		for _, a := range d.acceptors {
			if a.listener == l {
				a.ListenOptions = o
			}
		}
	})
}

// StopListening closes the socket of a listener that Listen took over. Connections that have come by it, and those that wait to be
// accepted, go on.
func (g *Gateway) StopListening(l net.Listener) {
	d := g.drivers[0]
	d.do(func() {
		d.acceptors = slices.DeleteFunc(d.acceptors, func(a *acceptor) bool {
			if a.listener != l {
				return false
			}
			a.close()
			return true
		})
	})
}

// File returns a file of the socket of a listener that Listen took over, for another process that is to accept by it too.
func (g *Gateway) File(l net.Listener, name string) (*os.File, error) {
	d, fd := g.drivers[0], -1
	d.do(func() {
		for _, a := range d.acceptors {
			if a.listener == l {
				fd = sock.Spare(a.fd)
			}
		}
	})
	if fd < 0 {
		return nil, errors.New("no descriptor is left for it")
	}
	return os.NewFile(uintptr(fd), name), nil
}

// descriptor returns a descriptor for a loop of the socket that c has. c is to be closed then.
func descriptor(c any) (int, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	return sock.Duplicate(raw)
}

// addrPort returns the zero AddrPort for what is not TCP's.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// acceptor is a listening socket. It accepts on one loop and gives the connections to all loops in turn, so that each carries
// as many.
type acceptor struct {
	loop.Timer
	ListenOptions
	g        *Gateway
	d        *driver
	listener net.Listener // that it was, for its owner to name it by
	fd       int
	spare    int // a descriptor for a connection that finds no other; -1: there is none
	token    loop.Token
	watched  bool // the loop watches it
	port     uint16
	next     int
	pause    time.Duration
	warned   notice.Limiter[struct{}]
}

// acceptsAtOnce is how many connections are accepted before other sockets are served.
const acceptsAtOnce = 64

func (a *acceptor) open() (err error) {
	if a.d.deaf {
		err = net.ErrClosed
	} else {
		a.token, err = a.d.loop.WatchListener(a.fd, a)
	}
	if err != nil {
		sock.Close(a.fd)
		return err
	}
	a.watched = true
	a.keepSpare()
	a.d.acceptors = append(a.d.acceptors, a)
	return nil
}

// Event implements loop.EventHandler.
func (a *acceptor) Event(int, loop.Events) {
	for range acceptsAtOnce {
		fd, from, err := sock.Accept(a.fd)
		switch err {
		case nil:
			a.pause = 0
			a.admit(fd, from)
		case syscall.EINTR, syscall.ECONNABORTED:
		case sock.Again:
			return
		default:
			if !sock.Waits(a.fd) { // the one before has got the last descriptor
				return
			}
			if a.d.spare() {
				continue
			}
			a.turnAway()
			a.suspend(err)
			return
		}
	}
}

// turnAway deals with connections that wait while there is no descriptor: a stranger gets its 503 on the one that is kept back for
// that, and a live session gets that one, or whoever speaks TLS, since it cannot be told who that is.
func (a *acceptor) turnAway() {
	for range acceptsAtOnce {
		a.keepSpare()
		if a.spare < 0 {
			return
		}
		sock.Close(a.spare)
		a.spare = -1
		fd, from, err := sock.Accept(a.fd)
		if err != nil {
			break
		}
		if a.TLS != nil || !isStranger(fd, a.d.loop.Shared) {
			a.admit(fd, from)
			return
		}
		_, _ = sock.Receive(fd, a.d.loop.Shared) // what is unread would make the close a reset
		_, _ = sock.Send(fd, fullAnswer)
		sock.Close(fd)
		a.g.metrics.refused("full")
	}
	a.keepSpare()
}

// keepSpare keeps a descriptor for turnAway, if there is one and none is kept yet.
func (a *acceptor) keepSpare() {
	if a.spare < 0 {
		a.spare = sock.Spare(a.fd)
	}
}

// isStranger reports whether what the client has sent so far names no session. It takes nothing away.
func isStranger(fd int, b []byte) bool {
	n, err := sock.Peek(fd, b)
	return err == nil && !bytes.Contains(b[:n], []byte("sid="))
}

// suspend lets connections wait in the kernel until there are descriptors again.
func (a *acceptor) suspend(err error) {
	if a.warned.DueAfterQuiet(struct{}{}) {
		a.g.log.Warn("no connection can be accepted", "error", err)
	}
	a.pause = min(max(2*a.pause, acceptPause), acceptPauseMost)
	a.d.loop.Release(a.token, a.fd)
	a.watched = false
	a.d.loop.SetTimer(&a.Timer, a.d.loop.Now()+a.pause)
}

// Expire implements loop.Expirer: connections are accepted again.
func (a *acceptor) Expire() {
	var err error
	if a.token, err = a.d.loop.WatchListener(a.fd, a); err != nil {
		a.d.loop.SetTimer(&a.Timer, a.d.loop.Now()+acceptPauseMost)
		return
	}
	a.watched = true
}

func (a *acceptor) admit(fd int, from netip.AddrPort) {
	client := request.NewClient(from.Addr(), a.port, a.g.topology.Load().Trusted)
	client.Secure = a.TLS != nil
	if a.ProxyProtocol && !client.Trusted {
		a.g.refuseHeader(client.IP)
		sock.Close(fd)
		return
	}
	d := a.g.drivers[a.next]
	a.next = (a.next + 1) % len(a.g.drivers)
	c := a.g.newClientConn(d, fd, caller{Client: client, from: from})
	c.tls, c.introduced, c.redirect = a.TLS, a.ProxyProtocol, a.Redirect
	c.sit()
	a.g.admit(c)
	if d == a.d {
		c.arrive()
	} else {
		d.loop.Send(c)
	}
}

// close accepts what waits already, since closing would reset it, and stops listening.
func (a *acceptor) close() {
	if a.watched {
		a.Event(0, 0)
	}
	if a.watched {
		a.d.loop.Forget(a.token)
	}
	a.d.loop.StopTimer(&a.Timer)
	sock.Close(a.fd)
	if a.spare >= 0 {
		sock.Close(a.spare)
	}
}
