package cluster

// oldAge is from how many seconds on a session is old: by then a client that can upgrade has done so.
const oldAge = 30

// ages counts sessions, and those of them that are not old yet by the second in which they began, so that nobody has to look at all.
type ages struct {
	all   int
	young [oldAge + 1]struct {
		second int32
		count  int
	}
}

// add counts a session that begins in a second, and returns that.
func (a *ages) add(second int32) int32 {
	a.all++
	slot := &a.young[second%int32(len(a.young))]
	if slot.second != second {
		slot.second, slot.count = second, 0
	}
	slot.count++
	return second
}

// remove counts the end of a session that began in a second.
func (a *ages) remove(second int32) {
	a.all--
	if slot := &a.young[second%int32(len(a.young))]; slot.second == second {
		slot.count--
	}
}

// old returns how many sessions are old.
func (a *ages) old(now int32) int {
	n := a.all
	for i := range a.young {
		if s := &a.young[i]; now-s.second < oldAge {
			n -= s.count
		}
	}
	return n
}
