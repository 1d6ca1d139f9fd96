// Package certs has the certificates of listeners with TLS: from files, which it reads again when they change.
//
//	c, err := certs.New(cfg.TLS, certs.Options{Log: log})
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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
	"github.com/sidway/sidway/gateway/notice"
)

const (
	// lookEvery is how often files are looked at.
	lookEvery = 3 * time.Second
	// SoonEnds is how long before its end a certificate should have been renewed.
	SoonEnds = 14 * 24 * time.Hour
	// soonQuiet is how often the log says that one has not been.
	soonQuiet = 24 * time.Hour
)

// Options are what Certificates work with.
type Options struct {
	Log *slog.Logger
	// OnEvent, if it is there, is told of what the log is told of, in a sentence.
	OnEvent func(text string)

	every time.Duration // of looks at files, for tests; 0: lookEvery
}

// Certificates are what listeners with TLS show to clients, and ask of them. All methods may be called concurrently.
type Certificates struct {
	log   *slog.Logger
	tell  func(text string)
	every time.Duration
	outer *tls.Config
	shown atomic.Pointer[shown]
	soon  notice.Limiter[string]

	mu    sync.Mutex // guards what follows, and has shown written by one at a time
	cfg   config.TLS
	pairs []*source[*tls.Certificate]
	ca    *source[*x509.CertPool] // nil: clients are not asked for certificates
}

// shown is what clients get, as it is at one moment.
type shown struct {
	tls   *tls.Config
	index index
}

// New reads what cfg names.
func New(cfg config.TLS, o Options) (*Certificates, error) {
	c := &Certificates{log: o.Log, tell: o.OnEvent, every: o.every, soon: notice.Limiter[string]{Pause: soonQuiet}}
	if c.tell == nil {
		c.tell = func(string) {}
	}
	if c.every == 0 {
		c.every = lookEvery
	}
	c.outer = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.shown.Load().tls, nil }}
	use, err := c.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	use()
	return c, nil
}

// TLS returns the configuration for all listeners. It follows what changes by itself, and must not be changed.
func (c *Certificates) TLS() *tls.Config { return c.outer }

// Prepare reads what cfg names, and returns what has it hold from then on, for connections to come.
func (c *Certificates) Prepare(cfg config.TLS) (use func(), err error) {
	var pairs []*source[*tls.Certificate]
	for i, files := range cfg.Certificates {
		p := newPair(files)
		if err := p.first(); err != nil {
			return nil, fmt.Errorf("tls.certificates[%d]: %w", i, err)
		}
		pairs = append(pairs, p)
	}
	var ca *source[*x509.CertPool]
	if cfg.ClientCA != "" {
		ca = newAuthorities(cfg.ClientCA)
		if err := ca.first(); err != nil {
			return nil, fmt.Errorf("tls.client_ca: %w", err)
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cfg, c.pairs, c.ca = cfg, pairs, ca
		c.show()
	}, nil
}

func newPair(files config.Certificate) *source[*tls.Certificate] {
	p := &source[*tls.Certificate]{files: []string{files.Cert, files.Key}}
	p.parse = func(data [][]byte) (*tls.Certificate, error) {
		if _, err := keyfile.Certificates(data[0]); err != nil {
			return nil, fmt.Errorf("%q %w", files.Cert, err)
		}
		cert, err := keyfile.Pair(data[0], data[1])
		if err != nil {
			return nil, fmt.Errorf("%q %w", files.Key, err)
		}
		if err := keyfile.Current(cert.Leaf, time.Now()); err != nil && p.value != nil && keyfile.Current(p.value.Leaf, time.Now()) == nil {
			return nil, fmt.Errorf("%q %w", files.Cert, err) // one that holds is not given up for one that does not
		}
		return cert, nil
	}
	return p
}

func newAuthorities(file string) *source[*x509.CertPool] {
	return &source[*x509.CertPool]{files: []string{file}, parse: func(data [][]byte) (*x509.CertPool, error) {
		pool, err := keyfile.Authorities(data[0])
		if err != nil {
			err = fmt.Errorf("%q %w", file, err)
		}
		return pool, err
	}}
}

// show gives clients what holds now. It needs mu.
func (c *Certificates) show() {
	s := &shown{}
	for _, p := range c.pairs {
		s.index.add(p.value)
	}
	s.tls = &tls.Config{
		MinVersion:     map[string]uint16{"1.3": tls.VersionTLS13}[c.cfg.MinVersion], // 1.2 is Go's own
		NextProtos:     []string{"http/1.1"},
		GetCertificate: s.index.pick,
	}
	if c.ca != nil {
		s.tls.ClientCAs, s.tls.ClientAuth = c.ca.value, tls.RequireAndVerifyClientCert
		if c.cfg.ClientAuth == "optional" {
			s.tls.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	c.shown.Store(s)
}

// Run follows changes until ctx is done.
func (c *Certificates) Run(ctx context.Context) error {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.look()
		}
	}
}

// look reads the files again.
func (c *Certificates) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := false
	for _, p := range c.pairs {
		if c.follow(p.look()) {
			changed = true
			c.say(slog.LevelInfo, "certificate reloaded", "name", keyfile.Name(p.value.Leaf), "file", p.files[0], "ends", p.value.Leaf.NotAfter.UTC())
		}
	}
	if c.ca != nil && c.follow(c.ca.look()) {
		changed = true
		c.say(slog.LevelInfo, "authorities of clients' certificates reloaded", "file", c.ca.files[0])
	}
	if changed {
		c.show()
	}
	for _, s := range c.all() {
		if left := time.Until(s.Ends); left < SoonEnds && c.soon.Due(s.Name) {
			c.log.Warn("certificate ends soon, or has ended, and has not been renewed", "name", s.Name, "ends", s.Ends)
		}
	}
}

// follow tells of what a look has found to be wrong, and reports whether there is something new to show.
func (c *Certificates) follow(changed bool, err error) bool {
	if err != nil {
		c.say(slog.LevelError, "a file of TLS is not taken, what it held before goes on", "error", err)
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

// Status is how a certificate is, for people.
type Status struct {
	Name string // the first name that it is for
	Ends time.Time
	Err  error // why its files are not taken as they are now; nil: they are
}

// All returns how all certificates are, in the order of the configuration.
func (c *Certificates) All() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all()
}

func (c *Certificates) all() (all []Status) {
	for _, p := range c.pairs {
		all = append(all, Status{Name: keyfile.Name(p.value.Leaf), Ends: p.value.Leaf.NotAfter.UTC(), Err: p.err})
	}
	return all
}
