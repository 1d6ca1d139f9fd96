package request

import (
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
)

// The timers that nodes have by default, for one whose open packet cannot be read.
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
)

// NewBinding is the binding of a session that Node has made.
func (x *Request) NewBinding(o engineio.Open) affinity.Binding {
	if o.PingInterval == 0 || o.PingTimeout == 0 {
		o.PingInterval, o.PingTimeout = pingInterval, pingTimeout
	}
	return affinity.Binding{
		Node:         x.Node.Name,
		Version:      x.Query.Version,
		PingInterval: o.PingInterval,
		PingTimeout:  o.PingTimeout,
		MaxPayload:   o.MaxPayload,
		Ends:         x.Granted.Ends,
		JSONP:        x.Query.JSONP != "",
		Unproven:     x.Unproven,
	}
}

const (
	// probeTime is what a tunnel gets on top of its idle limit while the client probes it: nodes give a probe as long.
	probeTime = 10 * time.Second
	// tunnelMargin is added to the protocol's timers before a silent client counts as gone.
	tunnelMargin = 10 * time.Second
	// otherTunnelIdle is the idle limit of WebSockets whose timers are unknown: they are not Socket.IO's, or their open packet
	// could not be read.
	otherTunnelIdle = time.Hour
)

// TunnelIdle is how long the client may be silent, by the timers that its session's open packet announced: with EIO 4 it
// answers a ping each interval, with EIO 3 it sends one.
func (x *Request) TunnelIdle() (idle, grace time.Duration) {
	switch x.Kind {
	case Upgrade:
		return x.Binding.PingInterval + x.Binding.PingTimeout + tunnelMargin, probeTime
	case DirectConnect:
		if x.Open.SID == "" { // compressed, say: a guess could end a session that lives
			break
		}
		b := x.NewBinding(x.Open)
		return b.PingInterval + b.PingTimeout + tunnelMargin, 0
	}
	return otherTunnelIdle, 0
}

// PingInterval is how often its session's heartbeat comes; 0: it is not known.
func (x *Request) PingInterval() time.Duration {
	switch {
	case x.Kind == Upgrade:
		return x.Binding.PingInterval
	case x.Open.SID != "":
		return x.NewBinding(x.Open).PingInterval
	}
	return 0
}

// Ends is when the request's session has to end, in seconds since 1970: with the token that let it in, or with the one that the upgrade
// brought, whichever is over first. 0: whenever it does.
func (x *Request) Ends() int64 { return Sooner(x.Binding.Ends, x.Granted.Ends) }

// Sooner returns the first of two ends, of which 0 is none.
func Sooner(a, b int64) int64 {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
