package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/jwk"
)

// pauses are the times between two fetches of a set.
type pauses struct {
	age   time.Duration // of one that is used; it is used on until the next one is there
	again time.Duration // however many tokens name keys that are unknown
	first time.Duration // where there is no set yet, or it could not be fetched
}

var usualPauses = pauses{age: 10 * time.Minute, again: 10 * time.Second, first: time.Second}

const (
	// setTime is how long a fetch may take, and setSize how much it may bring.
	setTime = 5 * time.Second
	setSize = 1 << 20
)

// set is the keys at a URL. It is fetched in the background, when somebody asks for a key and it is old, or the key is unknown. One
// that cannot be fetched stays in use.
type set struct {
	url     string
	client  *http.Client
	onFault func(error)
	keys    atomic.Pointer[[]jwk.Key]
	last    lookup

	ctx    context.Context // of fetches; ended by close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	pauses pauses
	began  time.Time // of the last fetch
	busy   bool      // it goes on
}

func newSet(url string, onFault func(error)) *set {
	ctx, cancel := context.WithCancel(context.Background())
	if onFault == nil {
		onFault = func(error) {}
	}
	s := &set{url: url, client: newClient(1), onFault: onFault, ctx: ctx, cancel: cancel, pauses: usualPauses}
	s.keys.Store(new([]jwk.Key))
	s.fetch(false)
	return s
}

// newClient returns a client for so many requests at a time. It follows no redirect: whoever may redirect may choose the keys, or
// who is let in.
func newClient(conns int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = conns, conns, conns
	t.ForceAttemptHTTP2 = false
	t.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// load returns the keys that are known.
func (s *set) load() []jwk.Key {
	s.fetch(false)
	return *s.keys.Load()
}

// again has an unknown key looked for, and reports whether the set may soon be another: it is being fetched, or could not be.
func (s *set) again() bool { return s.fetch(true) }

// fetch begins to fetch the set, unless that was begun a short while ago, and reports whether it is under way or has failed.
func (s *set) fetch(unknown bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause := s.pauses.age
	switch {
	case len(*s.keys.Load()) == 0, s.last.faulty():
		pause = s.pauses.first
	case unknown:
		pause = s.pauses.again
	}
	if s.busy || s.ctx.Err() != nil || time.Since(s.began) < pause {
		return s.busy || s.last.faulty()
	}
	s.busy, s.began = true, time.Now()
	s.work.Go(s.update)
	return true
}

func (s *set) update() {
	keys, err := s.get()
	if err == nil {
		s.keys.Store(&keys)
	}
	s.mu.Lock()
	s.busy = false
	changed := s.ctx.Err() == nil && s.last.ended(err)
	s.mu.Unlock()
	if changed {
		s.onFault(err)
	}
}

func (s *set) get() ([]jwk.Key, error) {
	ctx, cancel := context.WithTimeout(s.ctx, setTime)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Accept", "application/jwk-set+json, application/json")
	p, err := s.client.Do(q)
	if err != nil {
		return nil, why(ctx, err)
	}
	defer p.Body.Close()
	if p.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", p.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(p.Body, setSize+1))
	switch {
	case err != nil:
		return nil, why(ctx, err)
	case len(b) > setSize:
		return nil, errors.New("the answer is larger than 1 MiB")
	}
	return jwk.Parse(string(b))
}

// why is err without the URL, which may hold a password.
func why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("no answer in time")
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// close ends a fetch that is under way, and waits for it.
func (s *set) close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.work.Wait()
	s.client.CloseIdleConnections()
}
