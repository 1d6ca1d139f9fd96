package pace

import "container/list"

// Queue is served in turns: keys take turns, and the values of one key come in their order. So the first value of a key waits for
// no more than one value of each other key, however many those have. The zero value is empty. No method but Longest takes longer
// with more values.
type Queue[K comparable, V any] struct {
	lines map[K]*line[K]
	turns list.List // of lines, the one that is served next in front
	n     int
}

// line is what waits with one key.
type line[K comparable] struct {
	key    K
	values list.List
	turn   *list.Element
}

// Place is where a value stands.
type Place[K comparable] struct {
	line  *line[K]
	value *list.Element
}

// Len returns how many values wait.
func (q *Queue[K, V]) Len() int { return q.n }

// Push has v wait behind all others of its key.
func (q *Queue[K, V]) Push(key K, v V) Place[K] {
	l := q.lines[key]
	if l == nil {
		if q.lines == nil {
			q.lines = map[K]*line[K]{}
		}
		l = &line[K]{key: key}
		l.turn = q.turns.PushBack(l)
		q.lines[key] = l
	}
	q.n++
	return Place[K]{l, l.values.PushBack(v)}
}

// First returns the value that is served next, false where none waits.
func (q *Queue[K, V]) First() (v V, ok bool) {
	front := q.turns.Front()
	if front == nil {
		return v, false
	}
	return front.Value.(*line[K]).values.Front().Value.(V), true
}

// Rotate makes it the turn of the next key. What First returned stays until it is removed.
func (q *Queue[K, V]) Rotate() {
	if front := q.turns.Front(); front != nil {
		q.turns.MoveToBack(front)
	}
}

// Remove takes the value at p out, which is there.
func (q *Queue[K, V]) Remove(p Place[K]) {
	p.line.values.Remove(p.value)
	if q.n--; p.line.values.Len() == 0 {
		q.turns.Remove(p.line.turn)
		delete(q.lines, p.line.key)
	}
}

// Longest returns the last value of the key that has most, false where no key has more than that one would have with one more.
// It looks at all keys.
func (q *Queue[K, V]) Longest(than K) (last V, ok bool) {
	most := 1
	if l := q.lines[than]; l != nil {
		most += l.values.Len()
	}
	var longest *line[K]
	for _, l := range q.lines {
		if n := l.values.Len(); n > most {
			longest, most = l, n
		}
	}
	if longest == nil {
		return last, false
	}
	return longest.values.Back().Value.(V), true
}
