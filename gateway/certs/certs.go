// Package certs has the certificates of listeners with TLS: from files, which it reads again when they change, and by ACME, where
// replicas share them; and the keys of their session tickets, which replicas share too.
//
//	c, err := certs.New(cfg.TLS, certs.Store{}, certs.Options{Log: log})
//	…
//	go c.Run(ctx)
//	l = tls.NewListener(l, c.TLS())
//
// It listens on nothing, and serves nothing.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
	"github.com/sidway/sidway/gateway/notice"
)

const (
	// lookEvery is how often files are looked at.
	lookEvery = 3 * time.Second
	// lateBefore is how long before its end a certificate should have been renewed, or lateShare of its time, where that is less.
	lateBefore = 14 * 24 * time.Hour
	lateShare  = 4
	// lateQuiet is how often the log says that one has not been.
	lateQuiet = 24 * time.Hour
	// noneQuiet is how often it says that clients are refused because there is none.
	noneQuiet = time.Hour
)

// Options are what Certificates work with.
type Options struct {
	Log *slog.Logger
	// OnEvent, if it is there, is told of what the log is told of, in a sentence.
	OnEvent func(text string)

	every time.Duration // of looks at files, for tests; 0: lookEvery
	now   func() time.Time
}

// Store is where replicas share what the configuration wants to be shared.
type Store struct {
	Redis  redis.UniversalClient // nil: nowhere. It is not closed here
	Prefix string                // of keys
}

// Certificates are what listeners with TLS show to clients, and ask of them. All methods may be called concurrently.
type Certificates struct {
	log   *slog.Logger
	tell  func(text string)
	every time.Duration
	now   func() time.Time // for the keys of tickets
	outer *tls.Config
	shown atomic.Pointer[shown]
	late  notice.Limiter[string]
	none  notice.Limiter[string] // of hosts that are named, and "" for all others

	mu   sync.Mutex // guards what follows, and has shown written by one at a time
	held            // by the configuration
	keys []ticketKey
	// running is of Run; nil: it has not begun, or has ended.
	running context.Context
}

// held is what one configuration names, as it is now.
type held struct {
	cfg     config.TLS
	pairs   []*source[*tls.Certificate]
	ca      *source[*x509.CertPool] // nil: clients are not asked for certificates
	tickets *source[[]ticketKey]    // nil: keys are in no files
	ring    *ring                   // nil: nor in Redis. What is in it belongs to Run
	acme    *acme                   // nil: no domain is named
}

// shown is what clients get, as it is at one moment.
type shown struct {
	tls   *tls.Config
	index index
	acme  *acme
}

// New reads what cfg names.
func New(cfg config.TLS, s Store, o Options) (*Certificates, error) {
	c := &Certificates{log: o.Log, tell: o.OnEvent, every: o.every, now: o.now, late: notice.Limiter[string]{Pause: lateQuiet}, none: notice.Limiter[string]{Pause: noneQuiet}}
	if c.tell == nil {
		c.tell = func(string) {}
	}
	if c.every == 0 {
		c.every = lookEvery
	}
	if c.now == nil {
		c.now = time.Now
	}
	// Where the inner configuration has no keys of tickets, this one's are used, which crypto/tls makes and which last as long as c.
	c.outer = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s := c.shown.Load()
		if challenge := s.acme.challenge(hello); challenge != nil {
			return challenge, nil
		}
		return s.tls, nil
	}}
	use, err := c.Prepare(cfg, s)
	if err != nil {
		return nil, err
	}
	use()
	return c, nil
}

// TLS returns the configuration for all listeners. It follows what changes by itself, and must not be changed.
func (c *Certificates) TLS() *tls.Config { return c.outer }

// Prepare reads what cfg names, and returns what has it hold from then on, for connections to come.
func (c *Certificates) Prepare(cfg config.TLS, s Store) (use func(), err error) {
	h := held{cfg: cfg, tickets: newTicketFiles(cfg.Tickets)}
	for i, files := range cfg.Certificates {
		p := newPair(files)
		if err := p.first(); err != nil {
			return nil, fmt.Errorf("tls.certificates[%d]: %w", i, err)
		}
		h.pairs = append(h.pairs, p)
	}
	if cfg.ClientCA != "" {
		h.ca = newAuthorities(cfg.ClientCA)
		if err := h.ca.first(); err != nil {
			return nil, fmt.Errorf("tls.client_ca: %w", err)
		}
	}
	if h.tickets != nil {
		if err := h.tickets.first(); err != nil {
			return nil, fmt.Errorf("tls.tickets: %w", err)
		}
	}
	serves := len(cfg.Certificates) > 0 || len(cfg.ACME.Domains) > 0
	if serves && slices.Contains(cfg.Tickets, config.TicketsOfRedis) && s.Redis != nil {
		h.ring = &ring{Store: s, keys: map[int64]ticketKey{}}
	}
	if h.acme, err = newACME(cfg.ACME, s, c); err != nil {
		return nil, fmt.Errorf("tls.acme: %w", err)
	}
	return func() { c.use(h) }, nil
}

// use has h hold from now on. It is called by one at a time.
func (c *Certificates) use(h held) {
	c.mu.Lock()
	before, running := c.acme, c.running
	c.mu.Unlock()
	if h.acme.same(before) {
		h.acme = before
	} else if running != nil {
		c.start(running, h.acme)
	}
	c.mu.Lock()
	if h.ring != nil && c.ring != nil && h.ring.Store == c.ring.Store {
		h.ring = c.ring
	} else {
		c.keys = nil
	}
	if h.tickets != nil {
		c.keys = h.tickets.value
	}
	c.held = h
	c.show()
	c.mu.Unlock()
	if h.acme != before {
		before.stop()
	}
}

// start has certificates obtained.
func (c *Certificates) start(ctx context.Context, a *acme) {
	if a == nil {
		return
	}
	if err := a.start(ctx); err != nil {
		c.say(slog.LevelError, "no certificates are obtained", "error", err)
	}
}

// show gives clients what holds now. It needs mu.
func (c *Certificates) show() {
	a := c.acme
	s := &shown{acme: a, index: index{managed: a.certificate, none: func(name string) { c.tellNone(a, name) }}}
	for _, p := range c.pairs {
		s.index.add(p.value)
	}
	s.tls = &tls.Config{
		MinVersion:                  map[string]uint16{"1.3": tls.VersionTLS13}[c.cfg.MinVersion], // 1.2 is Go's own
		NextProtos:                  []string{"http/1.1"},
		DynamicRecordSizingDisabled: true, // small records for the first megabyte cost more than they gain here
		GetCertificate:              s.index.pick,
		SessionTicketsDisabled:      slices.Contains(c.cfg.Tickets, config.TicketsOff),
	}
	if c.cfg.HTTP2 {
		s.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	if c.ca != nil {
		s.tls.ClientCAs, s.tls.ClientAuth = c.ca.value, tls.RequireAndVerifyClientCert
		if c.cfg.ClientAuth == "optional" {
			s.tls.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	if len(c.keys) > 0 {
		s.tls.SetSessionTicketKeys(c.keys)
	}
	c.shown.Store(s)
}

// tellNone tells that a client is refused, unless a first certificate is just being obtained. Only names that ACME is to obtain are told,
// since clients ask for any.
func (c *Certificates) tellNone(a *acme, name string) {
	const refused = "clients are refused, since there is no certificate "
	named, why := a.why(name)
	switch {
	case named && why != nil && c.none.Due(name):
		c.say(slog.LevelWarn, refused+"of their host yet: have the authority reach port 80 or 443 of it, or write files of one in tls.certificates", "name", name, "error", why)
	case !named && c.none.Due(""):
		c.say(slog.LevelWarn, refused+"at all yet, and they ask for a host that is not named: if it is yours, write it in tls.acme.domains, or files of its certificate in tls.certificates")
	}
}

// setTickets has clients get tickets by these keys. It needs mu.
func (c *Certificates) setTickets(keys []ticketKey) {
	if !slices.Equal(c.keys, keys) {
		c.keys = keys
		c.show()
	}
}

// Run obtains certificates and follows changes until ctx is done.
func (c *Certificates) Run(ctx context.Context) error {
	c.mu.Lock()
	c.running = ctx
	a := c.acme
	c.mu.Unlock()
	c.start(ctx, a)
	defer c.end()
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		c.followTickets(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.look()
		}
	}
}

// end has nothing obtained any more.
func (c *Certificates) end() {
	c.mu.Lock()
	a := c.acme
	c.running = nil
	c.mu.Unlock()
	a.stop()
}

// look reads the files again.
func (c *Certificates) look() {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	for _, p := range h.pairs {
		if look(c, p) {
			c.say(slog.LevelInfo, "certificate reloaded", "name", keyfile.Name(p.value.Leaf), "file", p.files[0], "ends", p.value.Leaf.NotAfter.UTC())
		}
	}
	if h.ca != nil && look(c, h.ca) {
		c.say(slog.LevelInfo, "authorities of clients' certificates reloaded", "file", h.ca.files[0])
	}
	if h.tickets != nil && look(c, h.tickets) {
		c.say(slog.LevelInfo, "keys of session tickets reloaded", "files", h.tickets.files)
	}
	for _, s := range c.All() {
		if s.Late && c.late.Due(s.Name) {
			c.say(slog.LevelWarn, "certificate ends soon, or has ended, and has not been renewed", "name", s.Name, "ends", s.Ends)
		}
	}
}

// look reads the files of a source again. It shows what is new, and reports whether there is.
func look[T any](c *Certificates, s *source[T]) bool {
	data, held, err := s.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := s.judge(data, held, err)
	if err != nil {
		c.say(slog.LevelError, "a file of TLS is not taken, what it held before goes on", "error", err)
	}
	if changed && c.tickets != nil {
		c.keys = c.tickets.value
	}
	if changed {
		c.show()
	}
	return changed
}

func (c *Certificates) say(level slog.Level, text string, args ...any) {
	c.log.Log(context.Background(), level, text, args...)
	var b strings.Builder
	b.WriteString(text)
	for i := 0; i+1 < len(args); i += 2 {
		fmt.Fprintf(&b, ", %v %v", args[i], args[i+1])
	}
	c.tell(b.String())
}
