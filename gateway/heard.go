package gateway

import (
	"context"
	"time"

	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/request"
)

// This file notes what clients that poll have got, so that another node can go on with their sessions when their own has crashed: see polledcrash.go.

// deafTime is for how long after Redis could not be told something no session is restored, whose client would get twice what nobody knows that it has.
const deafTime = 5 * time.Second

// hears returns what does tell, if there is something to tell, and notes which events and acknowledgements a poll brings, or which acknowledgements
// a POST has given; nil, where there is nothing to do.
func (x *exchange) hears(answer []byte, tell func()) func() {
	if x.route.Recovery == nil || x.Query.Version != 4 || x.Query.SID == "" || x.Resp.Status != 200 || x.searches {
		return tell
	}
	read := true
	var offsets, asked, given []string
	switch {
	case x.Kind == request.Poll:
		if read = x.Body.Done() && !x.Resp.Has(http1.ContentEncoding); read {
			offsets = packet.Offsets(answer)
			asked, given = packet.Acks(packet.Node, answer)
		}
	case x.Kind == request.Post && x.Upload.Complete && !x.entered: // else it was told before
		_, given = packet.Acks(packet.Client, x.Upload.Body)
	}
	if read && len(offsets)+len(asked)+len(given) == 0 {
		return tell
	}
	return func() {
		if tell != nil {
			tell()
		}
		x.hear(read, offsets, asked, given)
	}
}

// hearNode notes what a payload brings the client.
func (x *exchange) hearNode(payload []byte) {
	asked, given := packet.Acks(packet.Node, payload)
	x.hear(true, packet.Offsets(payload), asked, given)
}

func (x *exchange) hear(read bool, offsets, asked, given []string) {
	if err := x.route.Recovery.Hear(context.Background(), x.Query.SID, read, offsets, asked, given); err != nil {
		x.route.deaf.Store(time.Now().UnixNano())
	}
}

// isDeaf reports whether it is not known what clients have got.
func (t *tally) isDeaf() bool { return time.Now().UnixNano()-t.deaf.Load() < int64(deafTime) }

// mayBeOutdated reports whether a POST may give acknowledgements that a node has asked for which has crashed.
func (x *exchange) mayBeOutdated() (given []string) {
	if x.Kind != request.Post || x.Binding.Alias == "" || x.route.Recovery == nil || !x.Upload.Complete || x.checked {
		return nil
	}
	_, given = packet.Acks(packet.Client, x.Upload.Body)
	return given
}

// dropOutdated leaves out of a POST which of these acknowledgements nobody waits for any more: the session's node, which counts anew, may wait for others
// of the same names.
func (c *clientConn) dropOutdated(given []string) {
	x := c.x
	x.checked = true
	var old []string
	c.await(func() { old, _ = x.route.Recovery.TakeOutdated(context.Background(), x.Query.SID, given) }, func() {
		if len(old) == 0 {
			c.inSession()
			return
		}
		x.Upload.Body = packet.WithoutAcks(x.Upload.Body, old)
		x.Req.Chunked = true // so that it gets its length
		if len(x.Upload.Body) == 0 {
			c.posted()
			return
		}
		c.inSession()
	}, nil)
}
