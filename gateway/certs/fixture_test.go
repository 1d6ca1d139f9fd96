package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
)

const patience = 30 * time.Second

// served is certificates behind a listener.
type served struct {
	*certs.Certificates
	t    *testing.T
	addr string
	log  *logged
	stop func()
}

// logged is a log, and the events that it was told of.
type logged struct {
	mu     sync.Mutex
	lines  bytes.Buffer
	events []string
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.lines.String(), text)
}

func (l *logged) await(t *testing.T, text string, n int) {
	t.Helper()
	affinitytest.Eventually(t, "the log says "+text, func() bool { return l.count(text) >= n })
	if l.count(text) != n {
		t.Errorf("said %d times: %s", l.count(text), text)
	}
}

func (l *logged) event(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, text)
}

// Whether changes are followed all the time, or when a test says so.
const (
	often  = 5 * time.Millisecond
	byHand = 0
)

// serve says ok to all whose handshake succeeds, until the test ends.
func serve(t *testing.T, cfg config.TLS, looks time.Duration) *served {
	t.Helper()
	return serveBy(t, cfg, certs.Store{}, certs.Options{}.WithEvery(looks))
}

// serveBy is serve with more. Where often is not said, nothing is followed but by hand.

func serveBy(t *testing.T, cfg config.TLS, store certs.Store, o certs.Options) *served {
	t.Helper()
	l := &logged{}
	o.Log, o.OnEvent = slog.New(slog.NewTextHandler(l, nil)), l.event
	c, err := certs.New(cfg, store, o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	if o.Follows() {
		work.Go(func() { _ = c.Run(ctx) })
	}
	listener := tls.NewListener(inner, c.TLS())
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = conn.Write([]byte("ok"))
			})
		}
	})
	s := &served{Certificates: c, t: t, addr: inner.Addr().String(), log: l}
	s.stop = sync.OnceFunc(func() {
		cancel()
		listener.Close()
		work.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// dial says what a client finds.
func (s *served) dial(cfg *tls.Config) (state tls.ConnectionState, err error) {
	s.t.Helper()
	raw, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	if cfg.RootCAs == nil {
		cfg.InsecureSkipVerify = true
	}
	conn := tls.Client(raw, cfg)
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil { // by then the server has judged the client, and tickets have come
		return state, err
	}
	return conn.ConnectionState(), nil
}

// leaf returns the certificate that a client gets by name.
func (s *served) leaf(name string) *x509.Certificate {
	s.t.Helper()
	state, err := s.dial(&tls.Config{ServerName: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return state.PeerCertificates[0]
}
