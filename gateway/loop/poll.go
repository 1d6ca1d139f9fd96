//go:build unix && (!linux || portable)

package loop

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/sock"
)

// EarlyHup says that Hup is told as soon as the peer has closed its side, and not only when what came before has been read.
const EarlyHup = false

// poller makes edges of what poll(2) tells, which is states. A descriptor is asked about what is armed, and what has been told
// is armed again by a read or write that comes to its end. Each wait looks at every descriptor, so it serves few. On
// Linux the build tag portable has it in epoll's place.
//
// What has been told stays told when another handler takes over, as with epoll; the read or write that comes to its end arms
// for whichever handler there is.
type poller struct {
	fds     []unix.PollFd  // of the bell, and then of the slots; -1: none, ^fd: not asked about
	bell    [2]int         // a pipe that ends a wait
	listens map[Token]bool // told of by their state
}

func newPoller() (*poller, error) {
	p := &poller{listens: map[Token]bool{}}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p.bell[:]); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p.bell {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			p.close()
			return nil, os.NewSyscallError("fcntl", err)
		}
	}
	p.fds = []unix.PollFd{{Fd: int32(p.bell[0]), Events: unix.POLLIN}}
	return p, nil
}

func (p *poller) close() {
	unix.Close(p.bell[0])
	unix.Close(p.bell[1])
}

// ring ends a wait.
func (p *poller) ring() { unix.Write(p.bell[1], []byte{1}) }

// wait waits for events for so many milliseconds at most, -1 being forever, and returns their number. A signal ends it early:
// then it returns less than 0.
func (p *poller) wait(ms int) int {
	n, err := unix.Poll(p.fds, ms)
	if err != nil {
		for i := range p.fds {
			p.fds[i].Revents = 0
		}
		return -1
	}
	return n
}

// more reports whether a wait may have left some events, which none does.
func (p *poller) more(int) bool { return false }

// waitUntold is wait: poll is called as usual.
func (p *poller) waitUntold(ms int) int { return p.wait(ms) }

// add watches fd for the slot i: a listening socket by its state, all others by their edges.
func (p *poller) add(fd int, i, _ int32, listens bool) error {
	for int(i)+1 >= len(p.fds) {
		p.fds = append(p.fds, unix.PollFd{Fd: -1})
	}
	f := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | pollEnd}
	if listens {
		f.Events = unix.POLLIN
		p.listens[Token(i)] = true
	}
	p.fds[i+1] = f
	return nil
}

// remove ends the watch over fd, which forget has done already.
func (p *poller) remove(int) {}

// forget ends the watch of a slot. What the last wait found for it is dropped.
func (p *poller) forget(t Token) {
	p.fds[t+1] = unix.PollFd{Fd: -1}
	delete(p.listens, t)
}

// arm has what was told be told again.
func (p *poller) arm(t Token, events int16) {
	f := &p.fds[t+1]
	f.Events |= events
	f.Fd = max(f.Fd, ^f.Fd)
}

// dispatch tells the handlers of the n events that the last wait found.
func (l *Loop) dispatch(n int) {
	p := l.poller
	for i := 0; n > 0 && i < len(p.fds); i++ { // a handler may add some
		if p.fds[i].Revents == 0 {
			continue
		}
		n--
		if i == 0 {
			var b [64]byte
			unix.Read(p.bell[0], b[:])
		} else if e := p.edges(Token(i - 1)); e != 0 {
			l.tell(Token(i-1), e)
		}
	}
}

// edges returns what there is to be told of a slot, and disarms it. An end is found by a look at what can be read, since not
// every system tells of a peer that has closed its side alone.
func (p *poller) edges(t Token) Events {
	f := &p.fds[t+1]
	found := f.Revents
	f.Revents = 0
	switch {
	case p.listens[t]:
		return Readable
	case found&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0: // which would be told at once, time and again
		f.Events, f.Fd = 0, ^f.Fd
		return Readable | Writable | Hup
	}
	e := Events(0)
	if found&unix.POLLOUT != 0 {
		e = Writable
	}
	if found&unix.POLLIN != 0 {
		switch _, err := sock.Peek(int(f.Fd), make([]byte, 1)); err {
		case sock.Again: // it has been read since
			found &^= unix.POLLIN
		case nil:
			e |= Readable
		default:
			e |= Readable | Hup
		}
	}
	if found&pollEnd != 0 {
		e |= Readable | Hup
	}
	f.Events &^= found
	return e
}

// ReadSocket is sock.Receive for a watched socket. What it comes to the end of is told anew.
func (l *Loop) ReadSocket(t Token, fd int, b []byte) (int, error) {
	n, err := sock.Receive(fd, b)
	if err == sock.Again || err == nil && n < len(b) {
		l.poller.arm(t, unix.POLLIN)
	}
	return n, err
}

// WriteSocket is sock.Send for a watched socket. When one that takes no more does so again is told anew.
func (l *Loop) WriteSocket(t Token, fd int, b []byte) (int, error) {
	n, err := sock.Send(fd, b)
	if err == sock.Again || err == nil && n < len(b) {
		l.poller.arm(t, unix.POLLOUT)
	}
	return n, err
}
