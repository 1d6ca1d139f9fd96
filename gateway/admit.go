package gateway

import (
	"context"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/tunnel"
)

// This file lets the client of a WebSocket in by the token of its first CONNECT. Until then its node gets nothing of it that is a message of
// Socket.IO. What does the same for a session that polls is in unproven.go.

// judgeConnect has the route's gate say whether a client may have its session by what a CONNECT says. The results are those of auth.Gate's Judge.
func (r *route) judgeConnect(c *packet.Connect) (auth.Verdict, func() auth.Verdict) {
	token, ok := c.Token(r.Auth.Connect)
	if !ok {
		return auth.Verdict{Outcome: auth.Signature}, nil
	}
	return r.Auth.Gate.Judge(&auth.Ask{Token: token})
}

// connectError is the packet that refuses a CONNECT.
func connectError(c *packet.Connect, v auth.Verdict) []byte {
	message := engineio.ErrForbidden.Message
	if v.Outcome == auth.Unreachable {
		message = "Authentication not available"
	}
	return packet.ConnectError(c.Namespace, message)
}

// admit returns what the node gets of what an unproven client has sent.
func (f *follower) admit(b []byte) (out []byte) {
	for {
		passed, connect, ok := f.gate.Take(b)
		out, b = append(out, passed...), nil
		if !ok {
			f.line.EndSoon(tunnel.Refused)
		}
		if connect == nil {
			return out
		}
		v, later := f.route.judgeConnect(connect)
		if later != nil {
			f.judgeLater(connect, later)
			return out
		}
		if rest, granted := f.judged(connect, v); granted {
			return append(out, rest...)
		}
	}
}

// judgeLater has a goroutine find the verdict. The client is not read until then.
func (f *follower) judgeLater(connect *packet.Connect, later func() auth.Verdict) {
	var v auth.Verdict
	f.line.Hold(true)
	f.d.work(func(context.Context) { v = later() }, func() {
		if f.line.Ended() {
			return
		}
		out, granted := f.judged(connect, v)
		if !granted {
			out = f.admit(nil)
		}
		f.line.Send(1, f.Session.Pass(packet.Client, out))
		if f.gate == nil || !f.gate.Judges() {
			f.line.Hold(false)
		}
	})
}

// judged acts on the verdict on a CONNECT. One that is granted opens the gate for good: then rest goes to the node.
func (f *follower) judged(connect *packet.Connect, v auth.Verdict) (rest []byte, granted bool) {
	f.d.g.tellVerdict(f.route, v, "connect", f.client)
	if v.Outcome != auth.Granted {
		f.gate.Refuse()
		f.line.Send(0, f.gate.Say(connectError(connect, v)))
		return nil, false
	}
	rest = f.gate.Grant()
	f.dropGate()
	if v.Ends != 0 {
		f.line.EndAfter(time.Until(time.Unix(v.Ends, 0)))
	}
	return rest, true
}

// dropGate has what passes not be looked at any more, once that is of no use.
func (f *follower) dropGate() {
	if f.gate.Over() {
		f.gate = nil
	}
}
