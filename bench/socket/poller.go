//go:build linux

package socket

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What to add a descriptor for.
const (
	// Accepting is for listeners: told as long as a connection waits.
	Accepting uint32 = unix.EPOLLIN
	// Both is for connections: told once about each change, so read until less comes than was asked for, or, after an
	// Ended event, until the end.
	Both uint32 = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// What an Event's Events hold.
const (
	Readable uint32 = unix.EPOLLIN | Ended
	Writable uint32 = unix.EPOLLOUT
	Ended    uint32 = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// Token comes back with a descriptor's events, as their Fd and Pad. Turn counts the slot's owners: an event of an
// earlier one may still stand in the same batch as the event at which it was closed.
type Token struct{ Slot, Turn int32 }

// Event is Slot (Fd), Turn (Pad) and what happened (Events).
type Event = unix.EpollEvent

// Poller is an epoll set.
type Poller struct {
	fd     int
	events [512]Event
}

// NewPoller makes an empty set. Close it.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("socket: epoll: %w", err)
	}
	return &Poller{fd: fd}, nil
}

// Close closes the set, not its descriptors.
func (p *Poller) Close() { Close(p.fd) }

// Add watches fd until it is closed.
func (p *Poller) Add(fd int, events uint32, t Token) error {
	e := Event{Events: events, Fd: t.Slot, Pad: t.Turn}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("socket: epoll: %w", errno)
	}
	return nil
}

// Wait returns what happened, after at most d; below 0 it waits as long as it takes. The events are valid until the
// next Wait. Time is kept as finely as the thread's timer slack (PR_SET_TIMERSLACK) allows. An interrupted wait returns
// no events.
//
// It does not tell Go's scheduler that it waits, as that would wake the runtime's monitor at each wait: on a small
// machine this costs more than the operation waited for. The processor is given back only when the scheduler asks for
// it, by a signal, within 10 ms.
func (p *Poller) Wait(d time.Duration) []Event {
	var limit *unix.Timespec
	if d >= 0 {
		t := unix.NsecToTimespec(int64(d))
		limit = &t
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(limit)), 0, 0)
	if errno != 0 {
		return nil
	}
	return p.events[:n]
}
