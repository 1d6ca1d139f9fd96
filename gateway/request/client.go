package request

import "net/netip"

// Client is what is known of who sends the requests of a connection. It does not change.
type Client struct {
	IP           string         // its address
	ForwardedFor string         // that, as RFC 7239, section 6, writes it
	Port         uint16         // ours, that it connected to
	Secure       bool           // the connection is encrypted
	Trusted      bool           // it is a proxy whose word on where requests come from is taken
	Proxies      []netip.Prefix // the networks of all such proxies
	HasIDs       bool           // its requests have ids, see ID
	Strict       string         // Strict-Transport-Security of what it is answered; "": none
}

// unknown stands for a client without an address: the one on the other side of a Unix socket. It is trusted, since the socket's
// permissions say who may connect.
const unknown = "unknown"

// NewClient returns the client at addr, which has connected to that port of ours. An invalid address is that of a Unix socket.
func NewClient(addr netip.Addr, port uint16, proxies []netip.Prefix) Client {
	addr = addr.Unmap()
	c := Client{Port: port, ForwardedFor: "for=" + unknown, Proxies: proxies}
	quotes := 0
	switch {
	case addr.Is4():
		c.ForwardedFor = "for=" + addr.String()
	case addr.IsValid():
		c.ForwardedFor = `for="[` + addr.WithZone("").String() + `]"`
		quotes = 2
	}
	c.IP = c.ForwardedFor[len("for=")+quotes : len(c.ForwardedFor)-quotes]
	c.Trusted = !addr.IsValid() || c.trusts(addr)
	return c
}

// scheme is what the connection speaks.
func (c *Client) scheme() string {
	if c.Secure {
		return "https"
	}
	return "http"
}

// trusts reports whether addr is a proxy's whose word on where requests come from is taken.
func (c *Client) trusts(addr netip.Addr) bool {
	for _, p := range c.Proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
