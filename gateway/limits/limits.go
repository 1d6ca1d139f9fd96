// Package limits says what clients of a gateway may take. Package config reads it from the settings, with their defaults, and package
// gateway keeps to it; it is a package of its own because neither imports the other.
//
//	l := limits.Limits{Connections: 10_000, HeaderTime: 5 * time.Second, …}
package limits

import "time"

// Limits bound what clients may take. A gateway requires all of them but those whose 0 means none.
type Limits struct {
	// Connections is how many connections of clients may be open, those of tunnels too. At the limit those that wait longest for
	// their client give way. In the settings 0 means what the limit of descriptors allows; a gateway is told a number.
	Connections   int
	HeaderTime    time.Duration // for a request's head, from its first byte, and for a new connection's first byte
	BodyTime      time.Duration // for a request's body, and more as bytes arrive at BodyRate
	BodyRate      int64         // bytes per second that a body must keep up after BodyTime; 0 for none
	IdleTime      time.Duration // for a kept connection without a request
	WriteTime     time.Duration // for one write to a client that does not read
	HandshakeTime time.Duration // without any answer, after which a node that was sent a handshake counts as silent
	QueueTime     time.Duration // for a handshake to wait for a node, and a request for its session's binding
	Queue         int           // requests of one cluster that may wait for a node at a time
	UnknownSIDs   int           // looked up in a second, a quarter of them for one client address (an IPv6 /64); 0 for no limit

	// What one client address may do, an IPv6 /64 or a trusted proxy's client, and all together; 0 for no limit.
	ClientConnections int     // open at a time, those of tunnels too
	ClientRequests    float64 // per second, of any kind
	ClientHandshakes  float64 // requests for a session, and upgrades, per second
	Handshakes        float64 // the same for all clients together
	TunnelRate        int64   // bytes per second from the client of one WebSocket
}
