package cluster

import "time"

// This file counts sessions that two replicas count: one has bound them and believes that they poll until it looks at their bindings, the
// other has their WebSocket. Where replicas cannot agree on the moment, a session counts twice rather than not at all.

// Twice is how many sessions of a node two replicas count.
type Twice struct {
	Here  int // their WebSocket is here
	There int // it is at another replica
	Rest  int // of those there, as many as replicas other than this one may have bound
}

// longestTaken is how long a binding may live for its session to be counted as taken.
const longestTaken = time.Hour

const (
	// takenAfter is for how many seconds after the end of its binding a session may still be counted by the replica that bound it:
	// whether it is, that one tells.
	takenAfter = 5
	// sureBefore is how many seconds before that replica gives up a session of a drained node it is counted as taken no more, since what
	// replicas tell of each other is a few seconds old.
	sureBefore = 3
)

// takes counts sessions by a second and by the name of their node.
type takes map[int32]map[string]int

func (t takes) add(second int32, node string) int32 {
	of := t[second]
	if of == nil {
		of = map[string]int{}
		t[second] = of
	}
	of[node]++
	return second
}

func (t takes) remove(second int32, node string) {
	if of := t[second]; of[node] > 0 {
		of[node]--
	}
}

// take notes that a session on a node is counted by another replica too, and returns where it stands in taken and sure. It needs mu.
func (s *Sessions) take(node string, expires time.Time, margin time.Duration) (taken, sure int32) {
	if left := time.Until(expires); left <= 0 || left > longestTaken {
		return 0, 0
	}
	taken = s.taken.add(s.second(expires)+takenAfter, node)
	if last := s.second(expires.Add(-margin)) - sureBefore; last > s.now() {
		sure = s.sure.add(last, node)
	}
	return taken, sure
}

// Taken returns by node how many sessions that upgraded here another replica may count too, which bound them and has them poll: it learns
// nothing of that. Each is counted until the binding must have expired there, whether or not it still lives here. The bindings of a drained
// node's sessions are looked at earlier: there those are counted that live here, until the other replica may give them up.
func (s *Sessions) Taken() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	sum := func(t takes, drained bool) {
		for _, of := range t {
			for node, count := range of {
				if n := s.cluster.Node(node); count > 0 && (n != nil && n.Drains()) == drained {
					all[node] += count
				}
			}
		}
	}
	sum(s.taken, false)
	sum(s.sure, true)
	return all
}

// ForgetTaken has Taken return nothing of what there is by now: a replica has gone, and nobody knows which of the sessions it counted.
func (s *Sessions) ForgetTaken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.taken)
	clear(s.sure)
}

// bound is how many sessions poll that this replica has bound, as far as it knows, and that another one may have: those that it has seen
// poll when they were old are none of these.
func (s *state) bound() int { return int(max(0, s.polling.Load()-s.lasting.Load())) }

// twice is how many of its sessions two replicas count, no more than this one still may have bound.
func (s *state) twice() int { return s.double.Here + min(s.double.There, s.double.Rest+s.bound()) }

// Bound is how many of the sessions that poll another replica may have by WebSocket.
func (s *Status) Bound() int { return max(0, s.Polling-s.Lasting) }
