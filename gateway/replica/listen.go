package replica

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"syscall"

	"github.com/sidway/sidway/gateway"
	"github.com/sidway/sidway/gateway/config"
)

// Sockets are listening sockets that somebody else has opened, in place of addresses of the configuration: systemd, which keeps them
// while a replica is restarted, so that clients wait and none is refused.
type Sockets struct {
	// Listen are for clients, by their FileDescriptorNames. Entries fd:NAME of the configuration's listen take them; where it has
	// none, they stand in for all that it has.
	Listen map[string][]net.Listener
	Admin  net.Listener // nil: admin.listen
	// Handed is what a predecessor has given, nil where there is none.
	Handed *Handed
}

// listener is a socket that clients connect to.
type listener struct {
	config.Listener
	socket net.Listener
	file   *socketFile // of a Unix socket that was made here; nil: there is none
	served bool        // the gateway has it
}

// wanted is what the configuration asks for.
type wanted struct {
	config.Listener
	socket net.Listener // nil: it is to be opened
}

// listening is a change of listeners, until setListeners makes it.
type listening struct {
	all, opened, gone []*listener
	want              []config.Listener // what is said of all
}

// addrs are those of all listeners after the change.
func (l *listening) addrs() (all []net.Addr) {
	for _, s := range l.all {
		all = append(all, s.socket.Addr())
	}
	return all
}

// giveUp closes what was opened for a change that is not made.
func (l *listening) giveUp() {
	for _, s := range l.opened {
		s.close()
	}
}

// nextListeners opens what is asked for and not open yet. Nothing is served on it, and nothing closed, before setListeners.
func (r *Replica) nextListeners(listen []config.Listener) (*listening, error) {
	next := &listening{gone: slices.Clone(r.listeners)}
	want, err := r.inherit(listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	for _, w := range want {
		next.want = append(next.want, w.Listener)
		if i := slices.IndexFunc(next.gone, func(l *listener) bool { return l.Address == w.Address }); i >= 0 {
			next.all = append(next.all, next.gone[i])
			next.gone = slices.Delete(next.gone, i, i+1)
			continue
		}
		l, err := r.openListener(w)
		if errors.Is(err, syscall.EADDRINUSE) && len(next.gone) > 0 {
			err = fmt.Errorf("%w; if one that goes has this address, restart, or take that one out first", err)
		}
		if err != nil {
			next.giveUp()
			return nil, fmt.Errorf("listen: %w", err)
		}
		next.all, next.opened = append(next.all, l), append(next.opened, l)
	}
	return next, nil
}

// inherit finds out which sockets that were given are meant.
func (r *Replica) inherit(listen []config.Listener) (all []wanted, err error) {
	named := func(l config.Listener) bool { _, ok := l.Inherited(); return ok }
	names := slices.Sorted(maps.Keys(r.given))
	if len(names) > 0 && !slices.ContainsFunc(listen, named) {
		if i := slices.IndexFunc(listen, func(l config.Listener) bool { return !l.Plain() }); i >= 0 {
			return nil, fmt.Errorf("systemd has opened the sockets %q, and it is unclear which of them is %s; write fd:NAME for the address", names, listen[i])
		}
		listen = nil
		for _, name := range names {
			listen = append(listen, config.Inherit(name))
		}
	}
	for _, l := range listen {
		name, isNamed := l.Inherited()
		if !isNamed {
			all = append(all, wanted{l, nil})
			continue
		}
		if len(r.given[name]) == 0 {
			return nil, fmt.Errorf("systemd has opened no socket called %s, but %q; see FileDescriptorName in systemd.socket(5)", name, names)
		}
		for _, s := range r.given[name] {
			all = append(all, wanted{l, s})
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("systemd has opened the sockets %q, which are not in the list; write fd:%s, or take it out of the socket unit", names, names[0])
	}
	return all, nil
}

func (r *Replica) openListener(w wanted) (*listener, error) {
	l := &listener{Listener: w.Listener, socket: w.socket}
	path, isPath := w.Path()
	var err error
	switch {
	case w.socket != nil:
	case r.handed.take(l):
	case isPath:
		l.socket, l.file, err = listenUnix(path, w.Mode)
	default:
		l.socket, err = net.Listen("tcp", w.Address)
	}
	return l, err
}

// setListeners makes the change: what is new is served, if others are, and what is gone is closed.
func (r *Replica) setListeners(next *listening) {
	r.listeners = next.all
	addrs := next.addrs()
	r.addrs.Store(&addrs)
	for i, l := range r.listeners {
		if want := next.want[i]; l.Listener != want {
			l.Listener = want
			l.file.setMode(want.Mode)
			if l.served {
				r.gateway.SetListenOptions(l.socket, r.options(l))
			}
		}
	}
	if r.running != nil {
		if err := r.serve(); err != nil {
			r.log.Error("nobody is served on an address of listen", "error", err)
		}
	}
	for _, l := range next.gone {
		l.file.remove()
		if l.served {
			r.gateway.StopListening(l.socket)
		}
		l.close()
	}
}

// serve has the gateway take those listeners that it does not have yet.
func (r *Replica) serve() error {
	for _, l := range r.listeners {
		if l.served {
			continue
		}
		if err := r.gateway.Listen(l.socket, r.options(l)); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		l.served = true
	}
	return nil
}

// options are what the gateway is told of a listener.
func (r *Replica) options(l *listener) gateway.ListenOptions {
	o := gateway.ListenOptions{ProxyProtocol: l.ProxyProtocol}
	if l.Redirect != "" {
		o.Redirect = &gateway.Redirect{Port: l.RedirectPort(), Challenge: r.certs.Challenge}
	}
	if l.TLS {
		o.TLS = r.certs.TLS()
	}
	return o
}

// close closes a listener that the gateway does not have.
func (l *listener) close() {
	l.file.remove()
	l.socket.Close()
}

// removeSockets takes the files of Unix sockets away, so that nobody comes any more before the gateway closes them.
func (r *Replica) removeSockets() {
	for _, l := range r.listeners {
		l.file.remove()
	}
}
