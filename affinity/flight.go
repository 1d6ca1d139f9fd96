package affinity

import (
	"context"
	"strings"
	"sync"
)

// flights lets concurrent callers that ask the same of one sid share one operation: a client opens several requests
// at once, and each of them needs the same binding.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

type flight struct {
	landed  chan struct{}
	binding Binding
	err     error
}

// do returns what fn returns, from a call of its own or from one for the same sid that was under way. fn gets a
// context that does not end with the caller's, since others may wait for it; it must end soon by itself.
func (f *flights) do(ctx context.Context, sid string, fn func(context.Context) (Binding, error)) (Binding, error) {
	f.mu.Lock()
	if fl, ok := f.m[sid]; ok {
		f.mu.Unlock()
		select {
		case <-fl.landed:
			return fl.binding, fl.err
		case <-ctx.Done():
			return Binding{}, ctx.Err()
		}
	}
	sid = strings.Clone(sid)
	// The error is what the others get should fn panic.
	fl := &flight{landed: make(chan struct{}), err: ErrUnavailable}
	if f.m == nil {
		f.m = make(map[string]*flight)
	}
	f.m[sid] = fl
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.m, sid)
		f.mu.Unlock()
		close(fl.landed)
	}()
	fl.binding, fl.err = fn(context.WithoutCancel(ctx))
	return fl.binding, fl.err
}
