package cluster

import "container/heap"

// The queues a node may stand in; each is an index of state.at.
const (
	bySessions = iota
	byTurn
	byReturn
)

// queue orders nodes by a key, equal keys by who was picked longest ago.
type queue struct {
	at      int
	entries []entry
}

type entry struct {
	node   *state
	key    float64
	picked uint64
}

// push puts n into the queue, or gives it a new key where it stands there already.
func (q *queue) push(n *state, key float64, picked uint64) {
	if n.at[q.at] > 0 {
		q.update(n, key, picked)
		return
	}
	heap.Push((*byKey)(q), entry{n, key, picked})
}

// update gives n a new key; a node that is not in the queue stays out.
func (q *queue) update(n *state, key float64, picked uint64) {
	i := n.at[q.at] - 1
	if i < 0 {
		return
	}
	q.entries[i].key, q.entries[i].picked = key, picked
	heap.Fix((*byKey)(q), i)
}

// remove reports whether n was in the queue.
func (q *queue) remove(n *state) bool {
	i := n.at[q.at] - 1
	if i < 0 {
		return false
	}
	heap.Remove((*byKey)(q), i)
	return true
}

// byKey is the heap behind a queue.
type byKey queue

func (q *byKey) Len() int { return len(q.entries) }

func (q *byKey) Less(i, j int) bool {
	a, b := &q.entries[i], &q.entries[j]
	if a.key != b.key {
		return a.key < b.key
	}
	return a.picked < b.picked
}

func (q *byKey) Swap(i, j int) {
	q.entries[i], q.entries[j] = q.entries[j], q.entries[i]
	q.entries[i].node.at[q.at] = i + 1
	q.entries[j].node.at[q.at] = j + 1
}

func (q *byKey) Push(e any) {
	q.entries = append(q.entries, e.(entry))
	q.entries[len(q.entries)-1].node.at[q.at] = len(q.entries)
}

func (q *byKey) Pop() any {
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries[last] = entry{}
	q.entries = q.entries[:last]
	e.node.at[q.at] = 0
	return e
}
