package gateway

import (
	"net/netip"

	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/throttle"
)

// caller is who is at the other end of a connection.
type caller struct {
	request.Client
	from netip.AddrPort  // the client, as it stands in IP
	to   netip.AddrPort  // what it connected to; invalid: what the socket says
	peer throttle.Client // whom it counts for
	over bool            // that one has more connections than it may: only what belongs to a session is served
}

// seat is a client's share of limits.client_connections: nobody's where it is not counted.
type seat struct{ throttle.Client }

// sit counts a connection for the client that it comes from, and notes whether there are too many. A proxy's are those of its clients, whom it
// bounds itself, if anybody does.
func (c *clientConn) sit() {
	c.peer, c.seat, c.over = throttle.Of(c.from.Addr()), seat{}, false
	if limit := c.g.limits().ClientConnections; limit > 0 && !c.Trusted && c.peer.Known() {
		c.seat, c.over = seat{c.peer}, c.g.throttles.seats.Add(c.peer) > limit
	}
}

// stand is the end of a sit.
func (g *Gateway) stand(s seat) {
	if s.Known() {
		g.throttles.seats.Remove(s.Client)
	}
}

// throttled is the client that the request comes from.
func (c *clientConn) throttled() throttle.Client {
	if !c.Trusted {
		return c.peer
	}
	addr, _ := netip.ParseAddr(c.x.Origin().IP)
	return throttle.Of(addr)
}
