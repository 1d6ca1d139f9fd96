package affinity

import (
	"strings"
	"sync"
)

// flights lets concurrent callers that ask the same of one sid share one operation: a client opens several requests
// at once, and each of them needs the same binding.
type flights struct {
	mu sync.Mutex
	m  map[string][]func(Binding, error)
}

// join has done called when the operation of sid lands, and reports whether the caller has to begin it. own is a copy of sid.
func (f *flights) join(sid string, done func(Binding, error)) (own string, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting, ok := f.m[sid]
	if !ok {
		sid = strings.Clone(sid)
		if f.m == nil {
			f.m = make(map[string][]func(Binding, error))
		}
	}
	f.m[sid] = append(waiting, done)
	return sid, !ok
}

// land tells all that have joined what became of the operation of sid.
func (f *flights) land(sid string, b Binding, err error) {
	f.mu.Lock()
	all := f.m[sid]
	delete(f.m, sid)
	f.mu.Unlock()
	for _, done := range all {
		done(b, err)
	}
}
