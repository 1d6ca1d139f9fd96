package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Judge says what is wrong in a run. The events are in the order in which Read returns them.
func Judge(events []Event, injuries []Injury) Verdict {
	j := &judge{sessions: map[string]*session{}, connected: map[string][]time.Duration{}, injuries: injuries}
	for _, e := range events {
		j.take(e)
	}
	for _, s := range j.order {
		j.messages(s)
		j.ending(s)
	}
	j.outcomes()
	slices.SortStableFunc(j.v.Findings, func(a, b Finding) int { return cmp.Compare(a.At, b.At) })
	return j.v
}

type judge struct {
	v         Verdict
	injuries  []Injury
	sessions  map[string]*session
	order     []*session
	connected map[string][]time.Duration // when each client was connected
	excused   []map[string][]*session    // for each injury: by client, the sessions that it ended
}

// session is what the histories tell of one sid.
type session struct {
	sid    string
	client string // empty while no client has it: a handshake whose answer did not arrive
	node   string // its name
	nodeBy string // its process
	began  time.Duration
	ended  time.Duration
	why    string // "" while no client has said that it ended
	due    int
	done   bool // settled
	fronts []string
	on     []Event
	up     stream
	down   stream
}

// stream is one direction of a session.
type stream struct {
	sent  int // numbers below were sent
	next  int // numbers from here on were never received
	count map[int]int
	acked []Event
}

func (j *judge) find(flaw Flaw, e Event, format string, args ...any) {
	j.v.Findings = append(j.v.Findings, Finding{Flaw: flaw, At: e.At, SID: e.SID, By: e.By, Text: fmt.Sprintf(format, args...)})
}

func (j *judge) session(e Event) *session {
	s := j.sessions[e.SID]
	if s == nil {
		s = &session{sid: e.SID, up: stream{count: map[int]int{}}, down: stream{count: map[int]int{}}}
		j.sessions[e.SID] = s
		j.order = append(j.order, s)
	}
	return s
}

func (s *session) stream(d Direction) *stream {
	if d == Up {
		return &s.up
	}
	return &s.down
}

// take adds an event to what is known of its session.
func (j *judge) take(e Event) {
	switch e.Kind {
	case Refused:
		if !j.during(e.At, func(i Injury) bool { return i.refuses(e) }) {
			j.find(Refusal, e, "%s, status %d", e.Why, e.Status)
		}
		return
	case Stray:
		j.v.Strays++
		return
	}
	s := j.session(e)
	switch e.Kind {
	case Open:
		j.open(s, e)
	case Connected:
		j.connected[e.By] = append(j.connected[e.By], e.At)
	case Send:
		st := s.stream(e.Dir)
		st.sent = max(st.sent, e.Seq+1)
	case Receive:
		j.receive(s, e)
	case Ack:
		j.v.Acked++
		st := s.stream(e.Dir)
		st.acked = append(st.acked, e)
	case Polling:
		if !j.during(e.At, func(i Injury) bool {
			return i.Polling || i.Excuses == SessionsOfNodes && slices.Contains(i.Nodes, s.node)
		}) {
			j.find(NoUpgrade, e, "%s", e.Why)
		}
	case On:
		s.on = append(s.on, e)
	case Settled:
		s.done, s.due = true, e.Due
	case End:
		if e.Tap == Client {
			s.ended, s.why, s.fronts = e.At, e.Why, e.Fronts
		}
	}
}

func (j *judge) during(at time.Duration, allows func(Injury) bool) bool {
	return slices.ContainsFunc(j.injuries, func(i Injury) bool { return allows(i) && i.Began <= at && at <= i.Ended })
}

func (j *judge) open(s *session, e Event) {
	if e.Tap == Node {
		j.seenBy(s, e)
		return
	}
	j.v.Sessions++
	if s.client != "" {
		j.find(CrossTalk, e, "the session is %s's already", s.client)
	}
	s.client, s.began = e.By, e.At
}

// seenBy notes which node has to do with a session.
func (j *judge) seenBy(s *session, e Event) {
	switch s.nodeBy {
	case "":
		s.nodeBy = e.By
		s.node, _, _ = strings.Cut(e.By, "/")
	case e.By:
	default:
		j.find(TwoNodes, e, "%s had to do with it before", s.nodeBy)
	}
}

func (j *judge) receive(s *session, e Event) {
	if e.Tap == Node {
		j.seenBy(s, e)
	}
	switch {
	case e.Bad:
		j.find(Corrupt, e, "%s %d", e.Dir, e.Seq)
		return
	case e.Of != "":
		j.find(CrossTalk, e, "%s %d of session %s", e.Dir, e.Seq, e.Of)
		return
	}
	j.v.Messages++
	st := s.stream(e.Dir)
	st.count[e.Seq]++
	switch {
	case st.count[e.Seq] > 1:
		j.find(Doubled, e, "%s %d", e.Dir, e.Seq)
	case e.Seq < st.next:
		j.find(Reordered, e, "%s %d after %d", e.Dir, e.Seq, st.next-1)
	}
	st.next = max(st.next, e.Seq+1)
}

// messages judges what is only known at the end: gaps, and acknowledgements of what did not arrive.
func (j *judge) messages(s *session) {
	for _, d := range []Direction{Up, Down} {
		st := s.stream(d)
		at := Event{At: s.ended, SID: s.sid, By: s.client}
		until := st.next // what is missing below came before something that arrived
		if s.done {
			until = st.sent
			if d == Down {
				until = max(until, s.due)
			}
		}
		for seq := range until {
			if st.count[seq] == 0 {
				j.find(Gap, at, "%s %d of %d never came", d, seq, until)
			}
		}
		if st.next > st.sent {
			j.find(Corrupt, at, "%s %d came, but only %d were sent", d, st.next-1, st.sent)
		}
		for _, e := range st.acked {
			if st.count[e.Seq] == 0 {
				j.find(FalseAck, e, "%s %d", d, e.Seq)
			}
		}
	}
}

// ending judges how a session ended.
func (j *judge) ending(s *session) {
	at := Event{At: s.ended, SID: s.sid, By: s.client}
	switch {
	case s.client == "":
	case s.why == "":
		j.find(Unsettled, at, "its history has no end")
	case s.why == Stopped && !s.done:
		j.find(Unsettled, at, "%d of %d acknowledged, %d received", len(s.up.acked), s.up.sent, s.down.next)
	case s.why == Stopped, s.why == Vanished:
	case s.why == Cut:
		j.excuse(s) // so that it counts where it belongs
	default:
		j.v.Lost++
		if !j.excuse(s) {
			j.find(Unexplained, at, "%s, on node %s through %s", s.why, s.node, strings.Join(s.fronts, ", "))
		}
	}
}
