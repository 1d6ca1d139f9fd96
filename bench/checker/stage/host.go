//go:build linux

package stage

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Host is a network namespace with an address on the wire. It has no name in the file system and lives as long as the
// process that made it, so nothing is left of it however that ends.
type Host struct {
	Name string
	Addr netip.Addr

	jobs chan func() // each is run by the host's own thread, which is the one in the namespace
	tun  *os.File    // its network card
}

// card is the name of a host's network card in its own namespace.
const card = "wire0"

// newHost makes a host; if own is false it is the namespace that this process is in.
func newHost(name string, addr netip.Addr, own bool) (*Host, error) {
	h := &Host{Name: name, Addr: addr, jobs: make(chan func())}
	made := make(chan error)
	go h.run(own, made)
	if err := <-made; err != nil {
		return nil, fmt.Errorf("stage: host %s: %w", name, err)
	}
	return h, nil
}

// run owns a thread. It is never unlocked: its namespace goes with it, and so do the processes that it has started.
func (h *Host) run(own bool, made chan<- error) {
	runtime.LockOSThread()
	err := h.connect(own)
	made <- err
	if err != nil {
		return
	}
	for job := range h.jobs {
		job()
	}
}

func (h *Host) connect(own bool) error {
	if own {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace: %w", err)
		}
	}
	tun, err := openTun()
	if err != nil {
		return err
	}
	h.tun = tun
	if err := setUp("lo", netip.Addr{}); err != nil {
		return err
	}
	return setUp(card, h.Addr)
}

// openTun makes the card. What its namespace sends is read from the file, packet by packet, and what is written comes in there.
func openTun() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun, for which one has to be root: %w", err)
	}
	r, err := unix.NewIfreq(card)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("a network card: %w", err)
	}
	return os.NewFile(uintptr(fd), card), nil // after TUNSETIFF, or it cannot be waited for
}

// setUp gives a card an address, if there is one, in a network of 256, and takes it into use.
func setUp(name string, addr netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(request uint, fill func(*unix.Ifreq) error) {
		if err != nil {
			return
		}
		var r *unix.Ifreq
		if r, err = unix.NewIfreq(name); err != nil {
			return
		}
		if err = fill(r); err == nil {
			err = unix.IoctlIfreq(s, request, r)
		}
	}
	if addr.IsValid() {
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.AsSlice()) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
	if err == nil && addr.IsValid() {
		// A burst of packets waits, as in a real card's queue, and is not thrown away.
		set(unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error { r.SetUint32(20000); return nil })
	}
	if err != nil {
		return fmt.Errorf("card %s: %w", name, err)
	}
	return nil
}

// alias gives the host one more address.
func (h *Host) alias(addr netip.Addr) error {
	var err error
	h.do(func() { err = setUp(card+":1", addr) })
	return err
}

// do runs a job in the namespace, and returns when it is done.
func (h *Host) do(job func()) {
	done := make(chan struct{})
	h.jobs <- func() {
		defer close(done)
		job()
	}
	<-done
}

// close ends the thread and with it the namespace and the processes in it.
func (h *Host) close() {
	close(h.jobs)
	_ = h.tun.Close()
}
