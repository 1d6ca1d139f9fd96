// Package crowd is many Engine.IO clients in one process, and what an attacker sends beside them:
//
//	bench crowd <<< '{"kind":"storm","addr":"127.0.0.1:8080","control":"127.0.0.1:3000","clients":2400,"seconds":240}'
//
// A client is what socket.io-client 4 is with polling and its defaults: it gives up a handshake after 20 s, and an error
// makes it connect again after 1 s, then 2, 4 and at most 5, each more or less by up to a half. After the handshake it
// joins its namespace by a POST of 40, and is back when the poll beside brings the answer. It then keeps a poll waiting
// and answers pings. What it sends on a kept connection that the other side has just closed, it sends once more, as
// browsers do. Each client has an address of its own in 127/8; the attacker has one.
//
// The nodes are those of package busy, behind the proxy at Job.Addr.
package crowd

import (
	"errors"
	"fmt"
	"time"

	"github.com/sidway/sidway/bench/load"
)

// Kinds of crowds.
const (
	Storm      = "storm"      // all clients connect at once; it ends when all are back
	Idle       = "idle"       // beside live clients, connections that never send a byte
	HalfClosed = "halfclosed" // beside live clients, clients that pipeline two polls of their session and close their side
)

// Job says what a crowd does. The proxy has the limit Limit, the nodes need Work for a handshake: whoever starts them
// reads that here.
type Job struct {
	Kind    string        `json:"kind"`
	Addr    string        `json:"addr"`    // host:port of the proxy
	Control string        `json:"control"` // host:port of package busy
	Clients int           `json:"clients"` // in a flood the live ones, each of which sends a message a second
	Flood   float64       `json:"flood"`   // Idle: connections at a time; HalfClosed: clients a second
	Seconds float64       `json:"seconds"` // a flood's length; a storm's at most
	Limit   int           `json:"limit"`   // of the proxy, for connections of clients; 0: as many as it can
	Work    time.Duration `json:"work"`    // that a handshake takes at its node
}

// Result is what became of the clients.
type Result struct {
	Clients    int            `json:"clients"`
	Back       int            `json:"back"`       // have a session at the end
	Elapsed    float64        `json:"elapsed"`    // seconds until all were back, or until the end
	Gap        float64        `json:"gap"`        // longest time without a new session, in seconds
	Errors     map[string]int `json:"errors"`     // what clients saw, by kind
	Handshakes []int          `json:"handshakes"` // at each node

	LostKept  int            `json:"lostkept"`  // live clients on kept connections that lost their session in the flood
	LostFresh int            `json:"lostfresh"` // live clients that use each connection once, the same
	Messages  int64          `json:"messages"`  // that live clients had back in the flood
	Latency   load.Quantiles `json:"latency"`   // from when one was due to be sent until it was back, or the end

	Before   Held `json:"before"`   // the flood
	Peak     Held `json:"peak"`     // in the flood
	Attempts int  `json:"attempts"` // connections that the attacker has opened
}

// Held is what is open at a time.
type Held struct {
	Conns int `json:"conns"` // connections of clients at the proxy, those that the client has half closed too
	Polls int `json:"polls"` // polls at the nodes
}

// Live is how many clients each kind of live client has: those with even numbers keep their connections.
func (j Job) Live() (kept, fresh int) { return (j.Clients + 1) / 2, j.Clients / 2 }

func (j Job) check() error {
	switch j.Kind {
	case Storm, Idle, HalfClosed:
	default:
		return fmt.Errorf("crowd: unknown kind %q", j.Kind)
	}
	if j.Clients < 1 || j.Seconds <= 0 || j.Flood < 0 {
		return errors.New("crowd: clients and seconds must be more than 0, flood not less")
	}
	return nil
}
