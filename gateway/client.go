package gateway

import (
	"net/netip"
)

// client is what is known of who sends the requests of a connection.
type client struct {
	g       *Gateway
	trusted bool   // a proxy whose word on where requests come from is taken
	surplus bool   // above the limit of connections: only what belongs to a session is served
	crowded bool   // even above the overflow: only what belongs to a session that is known here is
	fresh   bool   // it has not sent a request yet
	port    uint16 // ours, that the client connected to
	ip      string // the client's address

	forwardedFor string // ip as RFC 7239, section 6, writes it
}

// newClient returns the client at addr, which has connected to that port of ours.
func newClient(g *Gateway, addr netip.Addr, port uint16) client {
	addr = addr.Unmap()
	c := client{g: g, port: port, fresh: true, forwardedFor: "for=unknown"}
	quotes := 0
	switch {
	case addr.Is4():
		c.forwardedFor = "for=" + addr.String()
	case addr.IsValid():
		c.forwardedFor = `for="[` + addr.WithZone("").String() + `]"`
		quotes = 2
	}
	c.ip = c.forwardedFor[len("for=")+quotes : len(c.forwardedFor)-quotes]
	c.trusted = g.trusts(addr)
	return c
}
