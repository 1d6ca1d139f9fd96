// Package proxyheader reads and writes the header of the PROXY protocol, versions 1 and 2, with which a balancer of connections tells
// who the client is. It does no I/O: Size tells from what has come how long the header is, so that its bytes alone are taken off a socket.
//
//	n, err := proxyheader.Size(b) // 0: more has to come
//	…
//	h, err := proxyheader.Parse(b[:n])
//
// Headers are parsed and written by github.com/pires/go-proxyproto.
package proxyheader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Most is how long a header may be, in bytes. Beyond its addresses version 2 has room for what few proxies send, such as the client's
// certificate.
const Most = preamble + 4096

const (
	preamble  = 16  // of version 2, in front of what it says the length of
	longestV1 = 107 // with its end of line
)

// ErrNone says that what came is no header of the PROXY protocol, ErrTooLong that it is longer than Most.
var (
	ErrNone    = errors.New("proxyheader: what came does not begin with a header of the PROXY protocol")
	ErrTooLong = errors.New("proxyheader: the header is too long")
)

// Header is what a proxy says of a connection.
type Header struct {
	// From is the client, and To what it connected to. Both are invalid where the proxy speaks for itself (LOCAL), does not know
	// (UNKNOWN), or was not reached by TCP.
	From, To netip.AddrPort
	Secure   bool // the client speaks TLS with the proxy
}

// Size returns how many bytes the header has that b begins with, 0 where more has to come until that is known.
func Size(b []byte) (int, error) {
	switch {
	case begins(b, proxyproto.SIGV2):
		if len(b) < preamble {
			return 0, nil
		}
		n := preamble + int(binary.BigEndian.Uint16(b[preamble-2:]))
		switch {
		case n > Most:
			return 0, ErrTooLong
		case n > len(b):
			return 0, nil
		}
		return n, nil
	case begins(b, proxyproto.SIGV1):
		n := bytes.IndexByte(b[:min(len(b), longestV1)], '\n') + 1
		if n == 0 && len(b) >= longestV1 {
			return 0, ErrTooLong
		}
		return n, nil
	}
	return 0, ErrNone
}

// begins reports whether b begins with a signature, or may yet.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// Parse reads a whole header.
func Parse(b []byte) (h Header, err error) {
	p, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return h, err
	}
	from, to, ok := p.TCPAddrs()
	if p.Command.IsLocal() || !ok {
		return h, nil
	}
	more, err := p.TLVs()
	if err != nil {
		return h, err
	}
	for _, t := range more { // section 2.2.5: the first bit of an SSL field says so
		h.Secure = h.Secure || t.Type == proxyproto.PP2_TYPE_SSL && len(t.Value) > 0 && t.Value[0]&1 != 0
	}
	h.From, h.To = addrPort(from), addrPort(to)
	return h, nil
}

func addrPort(a *net.TCPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// Append writes a header of that version: that the client is from and has connected to to, or, where one of them is invalid, that the
// connection is the writer's own (LOCAL) or version 1's UNKNOWN.
func Append(dst []byte, version byte, from, to netip.AddrPort) []byte {
	h := proxyproto.HeaderProxyFromAddrs(version, nil, nil)
	if from.IsValid() && to.IsValid() {
		h = proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to))
	}
	b, _ := h.Format() // it fails for what is no address alone
	return append(dst, b...)
}
