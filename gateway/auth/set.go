package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/jwk"
)

// pauses are the times between the beginnings of two fetches of a set.
type pauses struct {
	age   time.Duration // of one that is used; it is used on until the next one is there
	again time.Duration // however many tokens name keys that are unknown, and however often it cannot be fetched
	first time.Duration // after the first failure where there is no set yet; it doubles up to again
}

var usualPauses = pauses{age: 10 * time.Minute, again: 10 * time.Second, first: time.Second}

const (
	// setTime is how long a fetch may take, and setSize how much it may bring.
	setTime = 5 * time.Second
	setSize = 1 << 20
	// mostKids bounds the unknown kids that are remembered. One more is no worse off than a client that comes again: it gets 503.
	mostKids = 4096
)

// set is the keys at a URL. It is fetched in the background: until it is there for the first time, when somebody asks for a key and it
// is old, and when a key is unknown. One that cannot be fetched stays in use.
type set struct {
	url     string
	host    string // of url; all of it may hold a password
	client  *http.Client
	onFault func(error)
	seed    maphash.Seed
	keys    atomic.Pointer[[]jwk.Key]
	last    lookup

	ctx    context.Context // of fetches; ended by close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	pauses   pauses
	began    time.Time // of the last fetch
	good     time.Time // when the fetch began that brought the keys
	busy     bool      // a fetch goes on
	failures int       // of fetches, one after the other
	kids     map[uint64]arrival
	wanted   time.Time   // when a kid last came that no fetch after it was without
	timer    *time.Timer // begins the next fetch; nil: none is planned
}

// arrival is when an unknown kid came for the first and the last time.
type arrival struct{ first, last time.Time }

func newSet(url string, onFault func(error)) *set {
	ctx, cancel := context.WithCancel(context.Background())
	if onFault == nil {
		onFault = func(error) {}
	}
	s := &set{
		url: url, host: hostOf(url), client: newClient(1), onFault: onFault, seed: maphash.MakeSeed(), ctx: ctx, cancel: cancel, pauses: usualPauses,
		kids: map[uint64]arrival{},
	}
	s.keys.Store(new([]jwk.Key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
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
func (s *set) load() *[]jwk.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left(false) <= 0 {
		s.begin()
	}
	return s.keys.Load()
}

// coming has a key looked for that is not in seen, and reports whether it may turn out to be there: until a set lacks it that was asked
// for after the kid came. A kid that has gone from memory since, or never got there, may turn out to be there again.
func (s *set) coming(kid string, seen *[]jwk.Key) bool {
	now, key := time.Now(), maphash.String(s.seed, kid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen != s.keys.Load() { // another set has come in between
		return true
	}
	a, known := s.kids[key]
	if !known {
		a.first = now
	}
	if a.last = now; known || len(s.kids) < mostKids {
		s.kids[key] = a
	}
	absent := s.failures == 0 && !a.first.After(s.good)
	switch {
	case s.busy:
	case s.left(true) <= 0:
		s.begin()
		return true
	case absent:
		return false
	}
	s.wanted = now
	s.plan()
	return true
}

// left is how long no fetch may begin. The lock is held, as for all below.
func (s *set) left(unknown bool) time.Duration {
	pause := s.pauses.age
	switch {
	case len(*s.keys.Load()) == 0:
		pause = min(s.pauses.first<<min(max(s.failures-1, 0), 10), s.pauses.again)
	case unknown, s.failures > 0:
		pause = s.pauses.again
	}
	return time.Until(s.began.Add(pause))
}

// begin begins to fetch the set, unless that is under way.
func (s *set) begin() {
	if s.busy || s.ctx.Err() != nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.busy, s.began = true, time.Now()
	s.work.Go(s.update)
}

// plan has the set fetched as soon as that may be.
func (s *set) plan() {
	if s.busy || s.timer != nil || s.ctx.Err() != nil {
		return
	}
	s.timer = time.AfterFunc(s.left(true), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer = nil; s.left(true) <= 0 {
			s.begin()
		}
	})
}

// update fetches the set.
func (s *set) update() {
	keys, err := s.get()
	if err != nil {
		err = fmt.Errorf("%s: %w", s.host, err)
	}
	s.mu.Lock()
	s.busy = false
	changed := s.ctx.Err() == nil && s.last.ended(err)
	if err == nil {
		s.failures = 0
		maps.DeleteFunc(s.kids, func(_ uint64, a arrival) bool { return a.last.Before(s.good) })
		s.good = s.began
		s.keys.Store(&keys)
	} else {
		s.failures++
	}
	known := len(*s.keys.Load()) > 0
	if !known || s.wanted.After(s.good) {
		s.plan()
	}
	s.mu.Unlock()
	switch {
	case !changed:
	case err == nil:
		s.onFault(nil)
	case known:
		s.onFault(fmt.Errorf("%w; the keys that are known stay in use, while tokens by a new one get 503", err))
	default:
		s.onFault(fmt.Errorf("%w; no key of it is known yet, so tokens that need one get 503", err))
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
	keys, err := jwk.Parse(string(b))
	if err != nil && !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		err = errors.New("the answer is no set of keys in JSON")
	}
	return keys, err
}

// hostOf is what may be told of a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
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
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.work.Wait()
	s.client.CloseIdleConnections()
}
