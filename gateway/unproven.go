package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/request"
)

// This file keeps a session that polls from its node until a CONNECT of its client brings a token that lets it in. Its binding says until then that it is
// unproven, so that each replica does so, whichever gets a request. What refuses a CONNECT is bound beside it, and reaches the client by its next poll.

const (
	// proofTime is how long a poll or an upgrade waits for the session to be proven.
	proofTime = 20 * time.Second
	// proofPause is how soon is looked again; it becomes longer with the wait, up to longestProofPause. A client sends its CONNECT at once, so
	// those that wait for long are many only where they are no good, and shall not be a load on the store.
	proofPause        = 10 * time.Millisecond
	longestProofPause = time.Second
	// refusalTime is how long a CONNECT that is granted waits until the client has been told which others are not.
	refusalTime = 2 * time.Second
	// mostRefusals bounds the packets that wait for a session's next poll, in bytes.
	mostRefusals = 2 << 10
)

// prove deals with a request of a session that was unproven when its binding became known here.
func (c *clientConn) prove() {
	x := c.x
	switch a := x.route.Auth; {
	case a == nil || a.Connect == "": // by a configuration that is new
		c.fail(engineio.Forbidden)
	case x.Kind == request.Post:
		c.provePost()
	default:
		c.awaitProof()
	}
}

// awaitProof has a poll or an upgrade wait.
func (c *clientConn) awaitProof() {
	x := c.x
	if x.unprovenAt.IsZero() {
		x.unprovenAt = time.Now()
	}
	refusal := ""
	c.await(func() {
		ctx := context.Background()
		if x.learnProof(ctx); x.Binding.Unproven && x.Kind == request.Poll {
			refusal = x.takeRefusal(ctx)
		}
	}, func() {
		waited := time.Since(x.unprovenAt)
		switch {
		case !x.Binding.Unproven && x.mayHaveMoved():
			c.follow()
		case !x.Binding.Unproven:
			c.renew()
		case refusal != "":
			c.answer(engineio.Polled([]byte(refusal)))
		case waited < c.g.proofTime && !c.g.draining.Load():
			c.hold(min(max(waited/4, proofPause), longestProofPause), c.awaitProof)
		case x.Kind == request.Poll: // its client polls again
			c.answer(engineio.Polled([]byte(engineio.PacketNoop)))
		default:
			c.fail(engineio.Forbidden)
		}
	}, nil)
}

// learnProof finds out whether the session is proven: by what is known here, and else by the store, since another replica may have judged its client.
func (x *exchange) learnProof(ctx context.Context) {
	if b, ok := x.route.known(x.Query.SID); ok && !b.Unproven {
		x.Binding = b
		return
	}
	if b, err := x.route.refresh(ctx, x.Query.SID); err == nil {
		x.Binding = b
	}
}

// refusal returns the packets that wait for the session's next poll.
func (x *exchange) refusal(ctx context.Context) string {
	key := affinity.RefusalOf(x.Query.SID)
	b, err := x.route.refresh(ctx, key)
	if err != nil && !errors.Is(err, affinity.ErrNotFound) { // the store cannot say
		b, _ = x.route.known(key)
	}
	return b.Refusal
}

// takeRefusal does so, and has them wait no more.
func (x *exchange) takeRefusal(ctx context.Context) string {
	text := x.refusal(ctx)
	if text != "" {
		_ = x.route.Store.Unbind(ctx, affinity.RefusalOf(x.Query.SID)) // told twice it does no harm
	}
	return text
}

// provePost lets a POST through that proves the session, or that any client may send.
func (c *clientConn) provePost() {
	x := c.x
	var body []byte
	allowed := true
	c.await(func() {
		ctx := context.Background()
		if x.learnProof(ctx); x.Binding.Unproven {
			body, allowed = x.judgePost(ctx)
		}
	}, func() {
		if !allowed {
			c.fail(engineio.Forbidden)
			return
		}
		if body != nil {
			x.Upload.Body = body
			x.Req.Chunked = true // so that it gets its length
		}
		switch {
		case !x.Binding.Unproven:
			c.inSession()
		case len(body) == 0:
			c.posted()
		default:
			c.ask()
		}
	}, nil)
}

// judgePost judges the CONNECTs of a POST, and returns what of its body the node may get, which is not nil. It reports false where the node is to get
// nothing, and the client has sent what it may not.
func (x *exchange) judgePost(ctx context.Context) (body []byte, allowed bool) {
	if !x.Upload.Complete || x.Query.JSONP != "" {
		return nil, false
	}
	packets, ok := packet.ParseUnproven(x.Upload.Body)
	if !ok {
		return nil, false
	}
	var refusal []byte
	var ends int64
	proves := false
	body = []byte{}
	for _, p := range packets {
		if p.Connect != nil {
			v := x.judgeConnect(p.Connect)
			if v.Outcome != auth.Granted {
				refusal = packet.AppendPacket(refusal, connectError(p.Connect, v))
				continue
			}
			proves, ends = true, request.Sooner(ends, v.Ends)
		}
		body = packet.AppendPacket(body, p.Text)
	}
	if len(refusal) > 0 && !x.refuse(ctx, refusal) {
		return nil, false
	}
	return body, !proves || x.bindProven(ctx, ends)
}

// judgeConnect returns the verdict on a CONNECT, and tells of it. It may block.
func (x *exchange) judgeConnect(connect *packet.Connect) auth.Verdict {
	v, later := x.route.judgeConnect(connect)
	if later != nil {
		v = later()
	}
	x.g.tellVerdict(x.route, v, "connect", x.Origin().IP)
	return v
}

// refuse has packets wait for the session's next poll, at whichever replica that is. It reports false where they cannot.
func (x *exchange) refuse(ctx context.Context, packets []byte) bool {
	text := string(packet.AppendPacket([]byte(x.refusal(ctx)), packets))
	if len(text) > mostRefusals {
		return false
	}
	b := x.Binding
	b.Refusal, b.Expires = text, time.Time{}
	err := x.route.Store.Bind(ctx, affinity.RefusalOf(x.Query.SID), b)
	return err == nil || errors.Is(err, affinity.ErrUnavailable) // it is known here
}

// bindProven has all replicas let the session through, from when its client has been told which CONNECTs are refused: no poll is looked at after
// that. It reports false where the session lives elsewhere.
func (x *exchange) bindProven(ctx context.Context, ends int64) bool {
	for until := time.Now().Add(refusalTime); x.refusal(ctx) != "" && time.Now().Before(until); {
		time.Sleep(proofPause)
	}
	b := x.Binding
	b.Unproven, b.Ends = false, request.Sooner(b.Ends, ends)
	if err := x.route.Store.Bind(ctx, x.Query.SID, b); err != nil && !errors.Is(err, affinity.ErrUnavailable) {
		return false
	}
	b.Expires = time.Now().Add(b.TTL())
	x.Binding = b
	return true
}
