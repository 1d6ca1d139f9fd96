package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
)

// This file is the part of a polledMove that a goroutine does, which asks both nodes and Redis.

// run does the move from the answer on that has brought the event. What the client gets is in x.Early.
func (m *polledMove) run(ctx context.Context) {
	<-m.prepared
	x := m.x
	if m.failed != "" {
		m.outcome, m.err = m.failed, m.why
		rest := packet.WithoutMarks(m.answer)
		x.hearNode(rest)
		x.replaceBody(rest)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, polledTime)
	defer cancel()
	old := &asker{node: x.Node, header: m.header}
	defer old.close()
	out := m.said(m.answer, nil)
	if !m.session.Marked() { // something else came first
		m.outcome, out = m.hearOld(ctx, old, out)
	}
	if m.outcome == "" {
		m.outcome, out = m.move(ctx, old, out)
	}
	switch m.outcome {
	case moveLost:
		out = packet.AppendPacket(out, []byte(engineio.PacketClose))
	default:
		x.hearNode(out)
	}
	x.replaceBody(out)
}

// said follows what a node has said, and appends what of it goes to the client.
func (m *polledMove) said(payload, out []byte) []byte {
	asked, given := packet.Acks(packet.Node, payload)
	m.asked, m.given = append(m.asked, asked...), append(m.given, given...)
	return packet.AppendPacket(out, m.session.PassPolled(payload))
}

// settled reports whether nothing is under way that only the old node can end, of which so many acknowledgements were owed before.
func (m *polledMove) settled(owed []string) bool {
	return m.session.Settled() == nil && len(m.pending(owed)) == 0
}

// pending returns the acknowledgements that were asked for, and not given.
func (m *polledMove) pending(owed []string) []string {
	return slices.DeleteFunc(slices.Concat(m.asked, owed), func(name string) bool { return slices.Contains(m.given, name) })
}

// settles reports whether the old node alone may settle what is under way: what the client says waits.
func (m *polledMove) settles(owed []string) bool {
	return m.session.Settled() == nil && !slices.ContainsFunc(m.pending(owed), packet.IsClients)
}

// move returns what became of it, and what the client is to get.
func (m *polledMove) move(ctx context.Context, old *asker, out []byte) (outcome string, _ []byte) {
	x, s := m.x, m.session
	sid, store := x.Query.SID, x.route.Recovery
	owed, outcome := m.claim(ctx, store, sid)
	if outcome != "" {
		return outcome, out
	}
	defer store.Release(ctx, sid)
	if !m.settles(owed) {
		return moveBusy, out
	}
	if !m.pick() {
		return moveRefused, out
	}
	to := m.to
	defer x.route.Cluster.Leave(to) // who counts the session has a place for it by then
	next := &asker{node: to, header: m.header}
	defer next.close()
	open, err := m.open(ctx, next)
	if err != nil {
		return moveRefused, out
	}
	giveUp := func(outcome string) (string, []byte) {
		_, _ = next.ask(context.WithoutCancel(ctx), x.AppendPolled(nil, to.Address, open.SID, []byte(engineio.PacketClose)), barrierTime)
		return outcome, out
	}
	outcome, out = m.sayAll(ctx, old, out)
	for until := time.Now().Add(acksPatience); outcome == "" && !m.settled(owed) && m.settles(owed) && time.Now().Before(until); time.Sleep(claimPause) {
		outcome, out = m.sayAll(ctx, old, out)
	}
	if outcome != "" {
		return giveUp(outcome)
	}
	if !m.settled(owed) {
		return giveUp(moveBusy)
	}
	if _, err := old.ask(ctx, x.AppendPolled(nil, x.Node.Address, m.there(), []byte(engineio.PacketClose)), barrierTime); err != nil || !s.Left() {
		m.err = fmt.Errorf("the old node: close: %w", cmp.Or(err, errAnswer))
		return giveUp(moveLost)
	}
	return m.rejoin(ctx, next, open, out)
}

// open opens a session on the new node.
func (m *polledMove) open(ctx context.Context, next *asker) (engineio.Open, error) {
	body, err := next.ask(ctx, m.x.AppendPolled(nil, m.to.Address, "", nil), joinTime)
	if err != nil {
		return engineio.Open{}, err
	}
	return engineio.FindOpen(m.x.Query, body)
}

// pick reserves a place on the new node.
func (m *polledMove) pick() bool {
	if m.named {
		m.x.route.Cluster.Join(m.to)
		return true
	}
	to, err := m.x.route.Cluster.Pick(cluster.Want{Tried: []*cluster.Node{m.x.Node}})
	m.to = to
	return err == nil
}

// there is what the old node calls the session.
func (m *polledMove) there() string { return cmp.Or(m.x.Binding.Alias, m.x.Query.SID) }

// sayAll has the old node say all that stands in front of a second event, and returns why it has not, "" where it has, and out with what it has said.
func (m *polledMove) sayAll(ctx context.Context, old *asker, out []byte) (outcome string, _ []byte) {
	says := rand.Text()
	m.session.MarkAgain(says)
	if _, err := m.mark(ctx, m.x.route.Recovery, says); err != nil {
		return moveBlind, out
	}
	return m.hearOld(ctx, old, out)
}

// hearOld is sayAll of the event that was sent last.
func (m *polledMove) hearOld(ctx context.Context, old *asker, out []byte) (outcome string, _ []byte) {
	out, err := m.hear(ctx, old, m.there(), out)
	switch {
	case errors.Is(err, errUnwanted):
		return moveLeft, out
	case err != nil:
		m.err = fmt.Errorf("the old node: poll: %w", err)
		return moveLost, out
	case !m.session.Marked():
		return moveBusy, out
	}
	return "", out
}

// hear polls a node until it has said all that stands in front of the event that was sent last, or mostPolls times, and returns out with what it has said.
func (m *polledMove) hear(ctx context.Context, node *asker, sid string, out []byte) ([]byte, error) {
	for range mostPolls {
		answer, err := node.ask(ctx, m.x.AppendPolled(nil, node.node.Address, sid, nil), saysTime)
		if err != nil { // its poll was cut, which ends the session
			return out, err
		}
		out = m.said(answer, out)
		switch {
		case engineio.HasClose(m.x.Query, answer):
			return out, errUnwanted
		case m.session.Marked():
			return out, nil
		}
	}
	return out, nil
}

// rejoin has the new node restore the session.
func (m *polledMove) rejoin(ctx context.Context, next *asker, open engineio.Open, out []byte) (outcome string, _ []byte) {
	x, s, to := m.x, m.session, m.to
	sid, store := x.Query.SID, x.route.Recovery
	offset := m.offset
	patience := time.Duration(0)
	if m.crash {
		patience = crashKept
	}
	if err := store.Await(ctx, pidsOf(s), m.kept, patience); err != nil {
		offset = packet.Offset{}
	}
	lost := func(doing string, err error) (string, []byte) {
		m.err = fmt.Errorf("the new node: %s: %w", doing, err)
		return moveLost, out
	}
	if _, err := next.ask(ctx, x.AppendPolled(nil, to.Address, open.SID, s.RejoinPolled(offset)), joinTime); err != nil {
		return lost("connect", err)
	}
	for range mostPolls {
		answer, err := next.ask(ctx, x.AppendPolled(nil, to.Address, open.SID, nil), joinTime)
		if err != nil {
			return lost("poll", err)
		}
		rest := s.PassPolled(answer)
		notes := map[string]string{}
		packet.Polled(packet.Node, rest, func(name, text string) { notes[name] = text })
		if out = packet.AppendPacket(out, rest); len(notes) > 0 {
			_ = store.Note(ctx, sid, notes)
		}
		done, refused, renewed := s.Joined()
		switch {
		case refused || engineio.HasClose(x.Query, answer):
			return lost("poll", errUnwanted)
		case !done:
			continue
		}
		if out, err = m.hearAgain(ctx, next, open.SID, out); err != nil {
			return lost("the last event", err)
		}
		b := x.Binding
		b.Node, b.Alias, b.Expires = to.Name, open.SID, time.Time{}
		b.MaxPayload = open.MaxPayload
		if err := x.route.rebind(context.WithoutCancel(ctx), sid, b); err != nil && !errors.Is(err, affinity.ErrUnavailable) {
			return lost("bind", err)
		}
		x.route.Cluster.Sessions.Follow(sid, to)
		out = packet.AppendPacket(out, []byte(engineio.PacketPing)) // the pings of two nodes may come too far apart
		if renewed > 0 {
			return moveRenewed, out
		}
		return moveDone, out
	}
	return lost("poll", errAnswer)
}

// hearAgain has the new node say all that it may say twice: what it has restored the session with, and then as an event of its own, where it had not read so far
// in the stream. That stands in front of a third event.
func (m *polledMove) hearAgain(ctx context.Context, next *asker, sid string, out []byte) ([]byte, error) {
	says := rand.Text()
	m.session.MarkAgain(says)
	if _, err := m.mark(ctx, m.x.route.Recovery, says); err != nil {
		return out, nil // it is there, and may say something twice
	}
	return m.hear(ctx, next, sid, out)
}

// errUnwanted says that a node does not want a session, or no more.
var errUnwanted = errors.New("it refuses the session")

// claim waits until no POST or upgrade is on its way, and returns which acknowledgements are owed.
func (m *polledMove) claim(ctx context.Context, store *recovery.Store, sid string) (owed []string, outcome string) {
	for until := time.Now().Add(claimTime); ; time.Sleep(claimPause) {
		owed, claimed, err := store.Claim(ctx, sid, m.since)
		switch {
		case err != nil:
			return nil, moveBlind
		case claimed:
			return owed, ""
		case time.Now().After(until):
			return nil, moveBusy
		}
	}
}
