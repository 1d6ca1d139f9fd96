package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

const (
	// probeBytes is the length of the frame with `2probe`, the client's first word on an upgrade's WebSocket. Only with
	// the next one, `5`, the session leaves polling. A client whose WebSocket ends between the two, when `3probe` has come, neither
	// upgrades nor polls any more until its session times out (engine.io-client, socket.ts, _probe).
	probeBytes = 12
	// openTime is how long a node may take from its 101 to the open packet.
	openTime = 10 * time.Second
)

// switching ends the head of a 101.
const switching = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// switched goes on behind a node's 101.
func (c *clientConn) switched() {
	x, n := c.x, c.n
	if x.Resp.CheckSwitch(&x.Req) != nil { // a tunnel that starts without this could be made to carry requests
		if x.Kind == request.DirectConnect {
			x.answered(nil)
		}
		c.dropNode()
		c.fail(engineio.BadNode)
		return
	}
	x.Early = append(x.Early[:0], n.in.b...)
	n.in.free()
	c.learn()
}

// learn reads a direct connect's open packet, as soon as it is there, and starts the tunnel. A node speaks first, so the client
// misses nothing by hearing of the 101 only then. Bytes that are no open packet are passed on as they are.
func (c *clientConn) learn() {
	x := c.x
	if x.Kind == request.DirectConnect {
		var err error
		if x.Open, err = engineio.FindOpenFrame(x.Early); errors.Is(err, engineio.ErrShort) {
			if c.state != learning {
				c.setState(learning, openTime)
			}
			return
		}
		x.answered(nil)
	}
	c.tunnel()
}

// tunnel writes the 101 and leaves both sockets to the engine, on the same loop. The lease, and the session's place on the node,
// last as long as the tunnel.
func (c *clientConn) tunnel() {
	x, d, n := c.x, c.d, c.n
	d.out = x.AppendStatus(d.out[:0])
	if p := x.AgreedProtocol(); p != "" {
		d.out = http1.AppendField(d.out, "Sec-WebSocket-Protocol", p)
	}
	d.out = append(d.out, switching...)
	d.out = append(d.out, x.Early...)
	if !c.write(d.out) {
		c.depart()
		return
	}
	sid := strings.Clone(cmp.Or(x.Query.SID, x.Open.SID))
	o := tunnel.Options{
		Node:     x.Node.Key(),
		ID:       sid,
		ToClient: bytes.Clone(c.unsent.b),
		ToNode:   bytes.Clone(c.in.b),
		Block:    c.g.limits().WriteTime,
		Rate:     c.g.limits().TunnelRate,
		Slowed:   c.g.metrics.bounds[boundTunnel].waited.Inc,
		Heard:    &x.Node.Talked,
	}
	h := x.newHome(sid, c.seat)
	f := x.newFollower(d, h, sid)
	switch {
	case f != nil:
		o.Follow = f
	case x.Unproven: // nobody would keep from the node what it sends
		c.depart()
		return
	}
	h.enter(x)
	h.follow, o.Owner = f, h
	if x.Kind == request.Upgrade {
		o.Preface = probeBytes
	}
	o.Pings = x.Query.Version == 4 && (f == nil || f.every == 0) // 0 where it is not Socket.IO's
	o.Idle, o.Grace = x.TunnelIdle()
	if ends := x.Ends(); ends != 0 {
		o.Life = max(time.Until(time.Unix(ends, 0)), 1)
	}
	x.status = 101
	c.endRequest()
	c.n = nil
	c.g.tunnels.Adopt(d.loop, c.hand(), n.hand(), o)
}
