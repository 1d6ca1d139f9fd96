package gateway

import (
	"net/netip"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/loop"
	"github.com/sidway/sidway/gateway/proxyheader"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/sock"
)

// This file learns from the header of the PROXY protocol who the client of a connection is, and tells nodes.

// proxyTime is how long the header may take. Proxies send it with the first segment.
const proxyTime = 2 * time.Second

// What can become of a connection that is to begin with a header.
const (
	headerClient    = "client"    // it names the client
	headerLocal     = "local"     // the proxy speaks for itself, or does not know
	headerMalformed = "malformed" // or there is none
	headerLate      = "late"
	headerCut       = "cut"
	headerUntrusted = "untrusted" // it does not come from a trusted proxy
)

// refuseHeader notes that a connection from that address was closed, because no word of its sender would count.
func (g *Gateway) refuseHeader(ip string) {
	g.metrics.headers.WithLabelValues(headerUntrusted).Inc()
	if g.notices.due("proxy_untrusted", "", "") {
		g.log.Warn("a listener with proxy_protocol serves trusted_proxies alone, and others are refused: is this a balancer's address?", "client", ip)
	}
}

// meet waits for the header.
func (c *clientConn) meet() {
	d := proxyTime
	if c.crowded {
		d = crowdedTime
	}
	c.setState(meeting, d)
	c.d.waiters.add(c, c.d.loop.Clock())
}

// readHeader takes as much off the socket as belongs to the header, and not a byte of what is behind it: that may be TLS.
func (c *clientConn) readHeader() {
	b := c.d.loop.Shared[:proxyheader.Most]
	c.in.keep()
	n, err := sock.Peek(c.fd, b)
	if err != nil && err != sock.Again {
		c.unmet(headerCut)
		return
	}
	c.in.receive(b[:n])
	size, err := proxyheader.Size(c.in.b)
	if err != nil {
		c.unmet(headerMalformed)
		return
	}
	took := n + 1 // of a header that is not whole the next byte is a part too, and the loop tells of more only when the end was seen
	if size > 0 {
		took = size - (len(c.in.b) - n)
	}
	if took == 0 { // that next byte was its last
		c.met(c.in.b)
		return
	}
	got, err := c.d.loop.Read(c.token, c.fd, b[:took])
	switch {
	case err == sock.Again:
		c.readable = c.hup
	case err != nil:
		c.unmet(headerCut)
	case size > 0:
		c.met(c.in.b[:size])
	default:
		c.readable = got == took || c.hup
		c.in.receive(b[n:max(n, got)])
	}
}

// met goes on with the client that the header names.
func (c *clientConn) met(header []byte) {
	h, err := proxyheader.Parse(header)
	if err != nil {
		c.unmet(headerMalformed)
		return
	}
	outcome := headerLocal
	if h.From.IsValid() {
		outcome = headerClient
		c.from, c.to = h.From, h.To
		secure := c.Secure || h.Secure
		c.Client = request.NewClient(h.From.Addr(), h.To.Port(), c.Proxies)
		c.Secure = secure
		c.g.stand(c.seat)
		c.sit()
	}
	c.g.metrics.headers.WithLabelValues(outcome).Inc()
	c.in.free()
	c.waiter.leave()
	if c.tls != nil { // of what is behind the header the loop has told before
		e := loop.Readable
		if c.hup {
			e |= loop.Hup
		}
		e = c.secure().Event(e)
		c.readable, c.hup = e&loop.Readable != 0, e&loop.Hup != 0
	}
	c.awaitRequest()
}

// unmet ends a connection whose header is not as it should be.
func (c *clientConn) unmet(why string) {
	c.g.metrics.headers.WithLabelValues(why).Inc()
	if why != headerCut && c.g.notices.due("proxy_header", "", why) { // health checks of TCP leave without a word
		c.g.log.Warn("a proxy's connection does not begin with a header of the PROXY protocol: is send-proxy-v2 or the like set there?",
			"proxy", c.IP, "header", why)
	}
	c.depart()
}

// introduces returns the version of the header with which a connection that the request is sent on has to begin, 0 where it has none.
func (x *exchange) introduces() byte {
	if x.Kind == request.Static {
		return 0
	}
	return x.route.ProxyProtocol
}

// begin begins a fresh connection to the request's node: with the header that names the client, for whom it is kept then, and with TLS.
// It returns dst with what goes in front of the request.
func (c *clientConn) begin(dst []byte, n *nodeConn) []byte {
	if n.reused {
		return dst
	}
	var header []byte
	if version := c.x.introduces(); version > 0 {
		n.owner = c
		header, n.tells = c.header(version)
	}
	if n.node.TLS != nil {
		n.secure(header)
		return dst
	}
	return append(dst, header...)
}

// header returns the header that names the request's client, and the address that it tells.
func (c *clientConn) header(version byte) (header []byte, tells string) {
	tells = c.x.Origin().IP
	from := c.from
	if tells != c.IP { // another proxy says that it is somebody else, of whom no port is known
		tells = strings.Clone(tells)
		addr, _ := netip.ParseAddr(tells)
		from = netip.AddrPortFrom(addr, 0)
	}
	if !c.to.IsValid() {
		c.to = sock.LocalAddr(c.fd)
	}
	return proxyheader.Append(nil, version, from, c.to), tells
}

// take returns an idle connection on which the request may be sent, nil where there is none. One that began with a header carries
// requests of whom that names.
func (c *clientConn) take() *nodeConn {
	x := c.x
	sure := x.Kind == request.Post
	if x.introduces() == 0 {
		return c.d.take(x.Node, sure)
	}
	n := c.kept
	c.kept = nil
	if n == nil || n.node == x.Node && n.tells == x.Origin().IP && c.d.isUsable(n, sure) {
		return n
	}
	n.close()
	return nil
}

// keepNode keeps an idle connection that is this client's alone, and closes the one that it had; nil for none.
func (c *clientConn) keepNode(n *nodeConn) {
	if c.kept != nil {
		c.kept.close()
	}
	c.kept = n
}
