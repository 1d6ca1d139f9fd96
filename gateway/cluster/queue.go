package cluster

// The queues a node may stand in; each is an index of state.at.
const (
	bySessions = iota
	byTurn
	byReturn
)

// queue is a binary heap of nodes by a key, equal keys by who was picked longest ago. Nothing that is done to it allocates but a push
// beyond the most it has held.
type queue struct {
	at      int
	entries []entry
}

type entry struct {
	node   *state
	key    float64
	picked uint64
}

func (e *entry) before(o *entry) bool {
	if e.key != o.key {
		return e.key < o.key
	}
	return e.picked < o.picked
}

// push puts n into the queue, or gives it a new key where it stands there already.
func (q *queue) push(n *state, key float64, picked uint64) {
	if n.at[q.at] == 0 {
		q.entries = append(q.entries, entry{})
		n.at[q.at] = len(q.entries)
	}
	q.update(n, key, picked)
}

// update gives n a new key; a node that is not in the queue stays out.
func (q *queue) update(n *state, key float64, picked uint64) {
	if i := n.at[q.at] - 1; i >= 0 {
		q.settle(i, entry{n, key, picked})
	}
}

// remove takes n out of the queue, if it is there.
func (q *queue) remove(n *state) {
	i := n.at[q.at] - 1
	if i < 0 {
		return
	}
	n.at[q.at] = 0
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries[last] = entry{}
	q.entries = q.entries[:last]
	if i < last {
		q.settle(i, e)
	}
}

// settle gives e the place that is free at i, or one above or below it.
func (q *queue) settle(i int, e entry) {
	free := i
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&q.entries[parent]) {
			break
		}
		q.set(i, q.entries[parent])
		i = parent
	}
	for i == free {
		child := 2*i + 1
		if right := child + 1; right < len(q.entries) && q.entries[right].before(&q.entries[child]) {
			child = right
		}
		if child >= len(q.entries) || !q.entries[child].before(&e) {
			break
		}
		q.set(i, q.entries[child])
		i, free = child, child
	}
	q.set(i, e)
}

func (q *queue) set(i int, e entry) {
	q.entries[i] = e
	e.node.at[q.at] = i + 1
}

// first returns the first entry at i and below that p does not pass over, nil where there is none. For k nodes that are passed over
// it looks at no more than 2k+1.
func (q *queue) first(i int, p *passed) *entry {
	if i >= len(q.entries) {
		return nil
	}
	if e := &q.entries[i]; !p.over(e.node) {
		return e
	}
	left, right := q.first(2*i+1, p), q.first(2*i+2, p)
	if left == nil || right != nil && right.before(left) {
		return right
	}
	return left
}

func among(tried []*Node, s *state) bool {
	for _, n := range tried {
		if n.state == s {
			return true
		}
	}
	return false
}
