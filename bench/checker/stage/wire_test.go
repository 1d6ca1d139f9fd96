//go:build linux

package stage

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// echo has a host answer each connection at its port with what it says.
func echo(t *testing.T, h *Host) string {
	t.Helper()
	var ln net.Listener
	var err error
	h.do(func() { ln, err = net.Listen("tcp", at(netip.IPv4Unspecified(), 7)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return at(h.Addr, 7)
}

// answer says something and waits for it to come back.
func answer(c net.Conn, patience time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// Packets between two hosts are delayed, lost and cut off as the link says, and a connection outlives all of it.
func TestWire(t *testing.T) {
	w := newWire(1)
	defer w.close()
	var hosts []*Host
	for _, name := range []string{"here", "a", "b"} {
		h, err := w.host(name)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	here, a := hosts[0], hosts[1]
	c, err := net.Dial("tcp", echo(t, a))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other, err := net.Dial("tcp", echo(t, hosts[2]))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	w.Set(here.Addr, a.Addr, Link{Delay: 100 * time.Millisecond})
	began := time.Now()
	if err := answer(c, patience); err != nil || time.Since(began) < 200*time.Millisecond {
		t.Errorf("with 100 ms each way: %v after %v", err, time.Since(began))
	}
	w.Set(here.Addr, a.Addr, Link{Loss: 0.3})
	for range 20 {
		if err := answer(c, patience); err != nil {
			t.Errorf("with lost packets: %v", err)
		}
	}
	w.Set(here.Addr, a.Addr, Link{Cut: true})
	if err := answer(c, 300*time.Millisecond); err == nil {
		t.Error("an answer came through a link that is cut")
	}
	if err := answer(other, patience); err != nil {
		t.Errorf("another host, meanwhile: %v", err)
	}
	w.Set(here.Addr, a.Addr, Link{})
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("what was said while it was cut: %v", err)
	}
}

// A second address of a host can be cut off while the first goes on.
func TestAlias(t *testing.T) {
	w := newWire(1)
	defer w.close()
	here, err := w.host("here")
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.host("a")
	if err != nil {
		t.Fatal(err)
	}
	first := echo(t, a)
	alias, err := w.alias(a)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(address string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	one, two := dial(first), dial(at(alias, 7))
	w.Set(here.Addr, alias, Link{Cut: true})
	if err := answer(one, patience); err != nil {
		t.Error(err)
	}
	if err := answer(two, 300*time.Millisecond); err == nil {
		t.Error("an answer came by an address that is cut off")
	}
}
