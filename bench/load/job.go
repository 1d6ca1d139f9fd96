package load

import (
	"errors"
	"fmt"
)

// The kinds of work.
const (
	Poll      = "poll"      // GET of a session's next packets; the node answers at once
	Post      = "post"      // POST of a session's packets
	Frame     = "frame"     // a frame through a tunnel and its echo
	Connect   = "connect"   // TCP connection, direct connect, open packet, close
	Handshake = "handshake" // polling handshake on a kept connection
	Fanout    = "fanout"    // one frame from the node to every tunnel at once
	Idle      = "idle"      // tunnels that only stay open
	Page      = "page"      // GET outside Socket.IO's path, answered with 2 KiB
	Preflight = "preflight" // OPTIONS of a session's poll
	Misfit    = "misfit"    // a session's poll in another version of the protocol, answered 400 on a kept connection
	Malformed = "malformed" // TCP connection, a head that is not HTTP, 400, close
	Unknown   = "unknown"   // poll with a sid that nobody made, another one each time, answered 400
)

// What Job.TLS can be.
const (
	Full   = "full"   // each connection by a handshake of its own
	Resume = "resume" // connections by the ticket of an earlier one, where there is one
)

// Job says what a run does. The zero values of Active, Warmup and Rate have a meaning, Trigger is for Fanout alone, Size for
// Post, Frame and Fanout, Split for Poll and Post, Events for Frame and Idle.
type Job struct {
	Kind    string  `json:"kind"`
	Addr    string  `json:"addr"`    // host:port of the proxy, or of the node itself
	Trigger string  `json:"trigger"` // host:port of the node's control port
	Conns   int     `json:"conns"`   // kept connections, tunnels, or connects at a time
	Active  int     `json:"active"`  // of them, busy at a time in a closed loop, in turn; 0: all
	Size    int     `json:"size"`    // bytes of a frame's payload or of a POST's body
	Seconds float64 `json:"seconds"` // length of the measured window
	Warmup  float64 `json:"warmup"`  // seconds of the same work before the window; 0: a tenth of Seconds
	Rate    float64 `json:"rate"`    // operations per second, evenly spread; 0: each connection begins the next one at once
	Cookies int     `json:"cookies"` // bytes of cookies in each head
	Split   float64 `json:"split"`   // share of requests that come in two segments: a poll's head in two halves, a POST's body apart
	TLS     string  `json:"tls"`     // Full, Resume or nothing
	Events  bool    `json:"events"`  // frames are events of a Socket.IO session that can be recovered, which each tunnel begins with
}

// Result is what was seen in the window, and the errors since the first connection.
type Result struct {
	Ops        int64     `json:"ops"`                  // operations that ended well; of Fanout, frames that arrived
	Errors     int64     `json:"errors"`               // operations and connections that failed
	FirstError string    `json:"firsterror,omitempty"` // what the first of them said
	Foreign    int64     `json:"foreign"`              // answers by a node that does not have the session
	Resumed    int64     `json:"resumed,omitempty"`    // operations whose connection of their own was resumed by a ticket
	Reopened   int64     `json:"reopened"`             // connections that ended after an answer with Connection: close
	Open       int       `json:"open"`                 // connections that stand, and stay until the input ends
	Elapsed    float64   `json:"elapsed"`              // seconds from the window's begin to its last operation's end
	CPU        float64   `json:"cpu"`                  // seconds of processor time this process took in Elapsed
	Latency    Quantiles `json:"latency"`              // of operations; of Fanout, from the trigger to the last frame of a burst
}

// Quantiles are in microseconds, each at most 1 % above the true value, Max exact.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (j Job) check() error {
	switch j.Kind {
	case Poll, Post, Frame, Connect, Handshake, Fanout, Idle, Page, Preflight, Misfit, Malformed, Unknown:
	default:
		return fmt.Errorf("load: unknown kind %q", j.Kind)
	}
	switch {
	case j.Conns < 1:
		return errors.New("load: conns must be at least 1")
	case j.Seconds <= 0:
		return errors.New("load: seconds must be more than 0")
	case j.Rate < 0 || j.Warmup < 0 || j.Size < 0 || j.Active < 0 || j.Cookies < 0:
		return errors.New("load: rate, warmup, size, active and cookies must not be negative")
	case j.Split < 0 || j.Split > 1 || j.Split > 0 && j.Kind != Poll && j.Kind != Post:
		return errors.New("load: split is a share of polls or POSTs, up to 1")
	case j.TLS != "" && j.TLS != Full && j.TLS != Resume:
		return fmt.Errorf("load: unknown kind of TLS %q", j.TLS)
	case j.Events && j.Kind != Frame && j.Kind != Idle:
		return errors.New("load: events are frames, or tunnels on which none come")
	case j.Kind == Fanout && j.Trigger == "":
		return errors.New("load: fanout needs a trigger")
	}
	return nil
}

func (j Job) warmup() float64 {
	if j.Warmup > 0 {
		return j.Warmup
	}
	return j.Seconds / 10
}
