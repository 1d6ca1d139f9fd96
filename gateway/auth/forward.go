package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// mostAsked bounds the requests to the server at a time.
	mostAsked = 64
	// mostKept bounds the verdicts that are kept.
	mostKept = 16384
)

// ForwardOptions are what a Forward gate is made of.
type ForwardOptions struct {
	URL      string
	Headers  []string // of the request that the server gets too
	Copy     []string // of the server's answer that the node gets
	Timeout  time.Duration
	Cache    time.Duration // for which a verdict holds for the same credentials; 0: none does
	FailOpen bool          // let in whom the server cannot be asked about
	// OnFault is told once that the server is of no use, and with nil that it is again. It may be nil.
	OnFault func(error)
}

var _ Gate = (*Forward)(nil)

// Forward is a Gate that asks a server about each request, by a GET: 2xx lets it in, 401 and 403 do not. A verdict is kept for
// Cache, by a hash of all that the server was told but for the parameters of the URI that are Engine.IO's own.
type Forward struct {
	o       ForwardOptions
	client  *http.Client
	kept    *lru.Cache[[sha256.Size]byte, kept]
	flights singleflight.Group
	turns   *turns
	last    lookup

	ctx    context.Context // of requests to the server; ended by Close
	cancel context.CancelFunc
}

type kept struct {
	Verdict
	until time.Time
}

// NewForward returns a gate.
func NewForward(o ForwardOptions) *Forward {
	if o.OnFault == nil {
		o.OnFault = func(error) {}
	}
	g := &Forward{o: o, client: newClient(mostAsked), turns: newTurns(mostAsked)}
	g.kept, _ = lru.New[[sha256.Size]byte, kept](mostKept) // the only error is a size below one
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Close implements Gate.
func (g *Forward) Close() {
	g.cancel()
	g.client.CloseIdleConnections()
}

// Fault implements Gate.
func (g *Forward) Fault() (*Fault, bool) { return g.last.with(g.o.FailOpen), true }

// Judge implements Gate.
func (g *Forward) Judge(a *Ask) (Verdict, func() Verdict) {
	key := g.key(a)
	if k, ok := g.kept.Get(key); ok && time.Now().Before(k.until) {
		return k.Verdict, nil
	}
	if !g.turns.enter() {
		return g.away(), nil
	}
	return Verdict{}, func() Verdict {
		defer g.turns.leave()
		v, _, _ := g.flights.Do(string(key[:]), func() (any, error) { return g.ask(key, a), nil })
		return v.(Verdict)
	}
}

// key is the hash of what the server is told of a request that tells clients apart.
func (g *Forward) key(a *Ask) (key [sha256.Size]byte) {
	h := sha256.New()
	add := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	path, query, _ := strings.Cut(a.URI, "?")
	for _, s := range []string{a.Host, a.Proto, a.For, path} {
		add(s)
	}
	for p := range strings.SplitSeq(query, "&") {
		switch name, _, _ := strings.Cut(p, "="); name {
		case "EIO", "transport", "t", "b64", "j":
		default:
			add(p)
		}
	}
	for _, name := range g.o.Headers {
		add("\n" + a.Header(name))
	}
	h.Sum(key[:0])
	return key
}

// ask asks the server, and keeps what it says.
func (g *Forward) ask(key [sha256.Size]byte, a *Ask) Verdict {
	ctx, cancel := context.WithTimeout(g.ctx, g.o.Timeout)
	defer cancel()
	v, err := g.send(ctx, a)
	if err != nil {
		err = fmt.Errorf("%s: %w", hostOf(g.o.URL), err)
	}
	if g.ctx.Err() == nil && g.last.ended(err) {
		g.o.OnFault(err)
	}
	if err != nil {
		return g.away()
	}
	if g.o.Cache > 0 {
		g.kept.Add(key, kept{v, time.Now().Add(g.o.Cache)})
	}
	return v
}

// away is the verdict where the server cannot be asked.
func (g *Forward) away() Verdict {
	if g.o.FailOpen {
		return Verdict{}
	}
	return Verdict{Outcome: Unreachable, Why: "the server of auth.forward cannot be asked"}
}

// send asks the server when it is its turn.
func (g *Forward) send(ctx context.Context, a *Ask) (Verdict, error) {
	select {
	case g.turns.free <- struct{}{}:
		defer func() { <-g.turns.free }()
	case <-ctx.Done():
		return Verdict{}, errors.New("too many requests wait for an answer")
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, g.o.URL, nil)
	if err != nil {
		return Verdict{}, err
	}
	for _, name := range g.o.Headers {
		if value := a.Header(name); value != "" {
			q.Header.Set(name, value)
		}
	}
	for name, value := range map[string]string{
		"X-Forwarded-Method": a.Method, "X-Forwarded-Uri": a.URI, "X-Forwarded-Host": a.Host, "X-Forwarded-Proto": a.Proto, "X-Forwarded-For": a.For,
	} {
		q.Header.Set(name, value)
	}
	p, err := g.client.Do(q)
	if err != nil {
		return Verdict{}, why(ctx, err)
	}
	defer p.Body.Close()
	_, _ = io.CopyN(io.Discard, p.Body, 64<<10) // so that the connection can be used again
	switch s := p.StatusCode; {
	case s >= 200 && s <= 299:
		return Verdict{Fields: g.copied(p.Header)}, nil
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return Verdict{Outcome: Denied}, nil
	default:
		return Verdict{}, fmt.Errorf("the answer is %d; 2xx, 401 and 403 are understood", s)
	}
}

// copied are the fields of the server's answer that the node gets.
func (g *Forward) copied(h http.Header) (fields []Field) {
	for _, name := range g.o.Copy {
		if values := h.Values(name); len(values) > 0 {
			fields = append(fields, Field{name, strings.Join(values, ", ")})
		}
	}
	return fields
}
