package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/loop"
)

// This file has nodes answer the polls that wait there when the gateway stops, so that clients poll again, through another replica. A
// node answers a poll with a noop as soon as the session is being upgraded (engine.io, lib/socket.ts, _maybeUpgrade), and an upgrade that
// is given up leaves the session polling.

const (
	// releaseTime is how long a node may take for an upgrade, and to answer the poll; nodes wait as long for the client.
	releaseTime = 10 * time.Second
	// releaseEnd is how long a node may take to close the WebSocket.
	releaseEnd = time.Second
	// mostReleases is how many are under way at once on a loop: each has a connection of its own.
	mostReleases = 256
	// youngPoll is for how long a poll is left alone, until the last wave: it may come back by itself, and the client of a session that is
	// new may be about to upgrade, which a node refuses while another upgrade is under way.
	youngPoll = time.Second
	// releaseAgain is how often polls are looked for after the last wave: clients may send some on connections that they have kept.
	releaseAgain = 250 * time.Millisecond
)

// What can become of the release of a poll.
const (
	pollReleased  = "released"  // the node has answered it
	pollLeft      = "left"      // its client left before
	pollRefused   = "refused"   // the node did not take the upgrade, or another one is under way
	pollUntouched = "untouched" // the node could not be reached, or said nothing in time
)

// ReleasePolls has nodes answer the polls that wait there, in waves of equal size that are spread over the given time, and goes on
// with those that come later until ctx is done. It is for a gateway that has been stopped: answers end their connections.
func (g *Gateway) ReleasePolls(ctx context.Context, waves int, over time.Duration) {
	waves = max(waves, 1)
	for left := waves; ; left = max(left-1, 1) {
		age, pause := youngPoll, over/time.Duration(waves)
		if left == 1 {
			age, pause = 0, releaseAgain
		}
		g.releaseWave(left, age)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// releaseWave has those polls released that are next when so many waves are left, of those that have waited for so long, and returns how
// many.
func (g *Gateway) releaseWave(left int, age time.Duration) (chosen int) {
	for _, d := range g.drivers {
		d.do(func() {
			d.toRelease = d.toRelease[:0]
			for c := range d.clients {
				if c.mayRelease() && time.Since(c.x.SentAt) >= age {
					d.toRelease = append(d.toRelease, c)
				}
			}
			d.toRelease = d.toRelease[:(len(d.toRelease)+left-1)/left]
			chosen += len(d.toRelease)
			d.releaseSome()
		})
	}
	return chosen
}

// mayRelease reports whether the client's poll waits at its node, and nobody has tried to release it or upgrades its session here.
func (c *clientConn) mayRelease() bool {
	return c.pollWaits() && !c.x.SentAt.IsZero() && !c.x.searches && !c.x.released && !c.x.route.Cluster.Sessions.HasTunnel(c.x.Query.SID)
}

// releaseSome begins to release polls that have been chosen, as many as may be under way.
func (d *driver) releaseSome() {
	if d.releasing { // by a caller that goes on
		return
	}
	d.releasing = true
	for len(d.toRelease) > 0 && len(d.releases) < mostReleases && !d.closed {
		c := d.toRelease[0]
		d.toRelease = d.toRelease[1:]
		if c.mayRelease() {
			d.release(c)
		}
	}
	d.releasing = false
}

// release is an upgrade of a poll's session that will be given up.
type release struct {
	loop.Timer
	d       *driver
	c       *clientConn // nil: its poll is answered, or it has left
	n       *nodeConn   // nil: a goroutine connects
	cluster string
	key     string
	head    http1.Response
	step    releaseStep
	outcome string // once the poll is over
}

// releaseStep is what a release waits for.
type releaseStep uint8

const (
	releaseSwitches releaseStep = iota // for the 101
	releaseProbes                      // for the answer to the probe
	releaseHolds                       // for the end of the poll
	releaseEnds                        // for the end of the WebSocket
)

func (d *driver) release(c *clientConn) {
	x := c.x
	var key [16]byte
	_, _ = rand.Read(key[:])
	r := &release{d: d, c: c, cluster: x.route.Cluster.Name, key: base64.StdEncoding.EncodeToString(key[:])}
	r.Init(r)
	x.released, c.release = true, r
	d.releases[r] = struct{}{}
	d.loop.SetTimer(&r.Timer, d.loop.Now()+releaseTime)
	d.connect(x.Node, false, func(n *nodeConn, err error) {
		if _, live := d.releases[r]; live {
			r.connected(n, err)
		} else if err == nil {
			n.close()
		}
	})
}

// connected asks for the upgrade.
func (r *release) connected(n *nodeConn, err error) {
	if err != nil {
		r.finish(pollUntouched)
		return
	}
	r.n, n.errand = n, r
	if r.c == nil {
		r.finish(r.outcome)
		return
	}
	out := r.c.begin(nil, n)
	n.owner = nil
	out, ok := r.c.x.AppendProbe(out, n.node.Address, r.key)
	if !ok {
		r.finish(pollRefused)
		return
	}
	r.send(out)
}

func (r *release) send(b []byte) bool {
	_, err := r.n.send(b)
	if err != nil {
		r.finish(pollUntouched)
	}
	return err == nil
}

// event goes on with what the node's connection brings.
func (r *release) event() { r.n.receive(r.hear, r.ended) }

// hear looks at what the node has said.
func (r *release) hear() {
	if r.step == releaseSwitches {
		r.hearSwitch()
	}
	if r.step == releaseProbes && !r.n.closed {
		switch err := engineio.FindProbePong(r.n.in.b); {
		case err == nil && r.c == nil:
			r.leave()
		case err == nil:
			r.step = releaseHolds
		case !errors.Is(err, engineio.ErrShort):
			r.finish(pollRefused)
		}
	}
	if r.step >= releaseHolds {
		r.n.in.free()
	}
}

// hearSwitch looks for the 101. A node that has sent it waits for the probe, and some do not take the end of the WebSocket before that for
// the end of the upgrade.
func (r *release) hearSwitch() {
	n := r.n
	size, err := n.scan.Response(n.in.b)
	if size == 0 && err == nil {
		return
	}
	if err != nil || r.head.Parse(n.in.b[:size], "GET") != nil || r.head.CheckAccept(r.key) != nil {
		r.finish(pollRefused)
		return
	}
	n.in.drop(size)
	r.step = releaseProbes
	r.send(appendMasked(nil, textFrame, engineio.ProbePing))
}

// pollOver hears that the poll has been answered, or that it has ended otherwise.
func (r *release) pollOver(answered bool) {
	if r.c, r.outcome = nil, pollLeft; answered {
		r.outcome = pollReleased
	}
	if r.step == releaseHolds {
		r.leave()
	}
}

// leave gives the upgrade up.
func (r *release) leave() {
	r.step = releaseEnds
	if r.send(appendMasked(nil, closeFrame, normalClosure)) {
		r.d.loop.SetTimer(&r.Timer, r.d.loop.Now()+releaseEnd)
	}
}

// ended deals with the end of what the node sends.
func (r *release) ended() {
	switch {
	case r.step == releaseEnds:
		r.finish(r.outcome)
	case len(r.n.unsent.b) > 0: // it has not taken the request
		r.finish(pollUntouched)
	default:
		r.finish(pollRefused)
	}
}

// Expire implements loop.Expirer.
func (r *release) Expire() {
	if r.step == releaseEnds {
		r.finish(r.outcome)
		return
	}
	r.finish(pollUntouched)
}

// Fail implements loop.Failer.
func (r *release) Fail() { r.finish(pollUntouched) }

// finish counts what became of the release, and begins another one.
func (r *release) finish(outcome string) {
	r.close()
	r.d.g.metrics.released.WithLabelValues(r.cluster, outcome).Inc()
	r.d.releaseSome()
}

func (r *release) close() {
	delete(r.d.releases, r)
	r.d.loop.StopTimer(&r.Timer)
	if r.c != nil {
		r.c.release = nil
	}
	if r.n != nil {
		r.n.errand = nil
		r.n.close()
	}
}

// The first byte of frames that are whole (RFC 6455, 5.2), and the status of an end in order (7.4.1).
const (
	textFrame     = 0x81
	closeFrame    = 0x88
	normalClosure = "\x03\xe8"
)

// appendMasked appends a short frame as clients send it.
func appendMasked(dst []byte, first byte, payload string) []byte {
	var mask [4]byte
	_, _ = rand.Read(mask[:])
	dst = append(append(dst, first, 0x80|byte(len(payload))), mask[:]...)
	for i := range len(payload) {
		dst = append(dst, payload[i]^mask[i%4])
	}
	return dst
}
