//go:build !portable

package loop

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway/sock"
)

// EarlyHup says that Hup is told as soon as the peer has closed its side, and not only when what came before has been read.
const EarlyHup = true

// poller is an epoll instance. Its events are edges already, so that it need not know what is read and written.
type poller struct {
	epoll  int
	bell   int // an eventfd that ends a wait
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
	}
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &poller{epoll: epoll, bell: bell, events: make([]unix.EpollEvent, 512)}, nil
}

func (p *poller) close() {
	unix.Close(p.bell)
	unix.Close(p.epoll)
}

// ring ends a wait.
func (p *poller) ring() { unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// wait waits for events for so many milliseconds at most, -1 being forever, and returns their number. A signal ends it early:
// then it returns less than 0.
func (p *poller) wait(ms int) int {
	n, _ := unix.EpollWait(p.epoll, p.events, ms)
	return n
}

// more reports whether a wait that found n events may have left some.
func (p *poller) more(n int) bool { return n == len(p.events) }

// waitUntold is wait without telling the scheduler, which ends it early by a signal where it wants the processor back.
func (p *poller) waitUntold(ms int) int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(ms), 0, 0)
	if e != 0 {
		return -1
	}
	return int(n)
}

// add watches fd for the slot i: a listening socket by its state, all others by their edges.
func (p *poller) add(fd int, i, generation int32, listens bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: i, Pad: generation}
	if listens {
		e.Events = unix.EPOLLIN
	}
	return p.control(unix.EPOLL_CTL_ADD, fd, &e)
}

// remove ends the watch over fd, which is watched and open.
func (p *poller) remove(fd int) { _ = p.control(unix.EPOLL_CTL_DEL, fd, nil) }

// forget ends the watch of the slot i, whose descriptor is closed, which is all that epoll asks for.
func (p *poller) forget(Token) {}

func (p *poller) control(op, fd int, e *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// dispatch tells the handlers of the n events that the last wait found.
func (l *Loop) dispatch(n int) {
	for i := range n {
		e := &l.poller.events[i]
		if e.Fd < 0 {
			var b [8]byte
			unix.Read(l.poller.bell, b[:])
			continue
		}
		if l.slots[e.Fd].generation == e.Pad {
			l.tell(Token(e.Fd), told(e.Events))
		}
	}
}

// told puts what epoll saw into the loop's words.
func told(events uint32) (e Events) {
	if events&unix.EPOLLIN != 0 {
		e = Readable
	}
	if events&unix.EPOLLOUT != 0 {
		e |= Writable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e |= Hup | Readable
	}
	return e
}

// ReadSocket is sock.Receive for a watched socket.
func (l *Loop) ReadSocket(_ Token, fd int, b []byte) (int, error) { return sock.Receive(fd, b) }

// WriteSocket is sock.Send for a watched socket.
func (l *Loop) WriteSocket(_ Token, fd int, b []byte) (int, error) { return sock.Send(fd, b) }
