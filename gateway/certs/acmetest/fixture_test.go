// Package acmetest has certificates obtained from Pebble, by both challenges, with storage on disk and in Redis.
package acmetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

const patience = 30 * time.Second

// authority is a Pebble that believes whoever listens on two ports of this machine, whatever the host is called.
type authority struct {
	directory string
	ca        string // the file of who has signed the directory's certificate
	roots     *x509.CertPool
	log       *buffer
}

// orders is how many certificates the authority was asked for. It refuses some good nonces, so that not each request is an order.
func (a *authority) orders() int { return strings.Count(a.log.String(), "Added order ") }

// buffer is a log.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// months is how long certificates last.
const months = 90 * 24 * time.Hour

// The account of an authority that wants one.
const (
	kid  = "kid-1"
	hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
)

// odd is what is unusual with an authority.
type odd struct {
	wantsAccount bool
	lasts        time.Duration // of certificates; 0: months
}

// newAuthority asks for challenges at the ports of these listeners.
func newAuthority(t *testing.T, plain, secure net.Listener, o odd) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	a := &authority{log: &buffer{}, roots: x509.NewCertPool()}
	logger, store := log.New(a.log, "", 0), db.NewMemoryStore()
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(cmp.Or(o.lasts, months).Seconds())}})
	if err := store.AddExternalAccountKeyByID(kid, hmac); err != nil {
		t.Fatal(err)
	}
	front := wfe.New(logger, store, va.New(logger, port(plain), port(secure), true, resolver(t), store), issuer, nil, true, o.wantsAccount, 1, 1)
	s := httptest.NewTLSServer(front.Handler())
	t.Cleanup(s.Close)
	a.directory = s.URL + wfe.DirectoryPath
	a.ca = keyfiletest.File(t, t.TempDir(), "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	a.roots.AppendCertsFromPEM(issuer.GetRootCert(0).PEM())
	return a
}

// resolver has each host be this machine.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(q.Question[0].Name + " 0 IN A 127.0.0.1")
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// site is certificates behind two ports: one for HTTP, which answers challenges, and one for TLS.
type site struct {
	*certs.Certificates
	t         *testing.T
	http, tls net.Listener
	log       *buffer
	stop      func()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// open serves at listeners that are there already, until the test ends.
func open(t *testing.T, cfg config.TLS, store certs.Store, plain, secure net.Listener) *site {
	t.Helper()
	s := &site{t: t, http: plain, tls: secure, log: &buffer{}}
	var err error
	s.Certificates, err = certs.New(cfg, store, certs.Options{Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: level(t)}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	servers := []*http.Server{
		{Handler: http.HandlerFunc(s.challenge)},
		{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") }), ErrorLog: log.New(io.Discard, "", 0)},
	}
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx) })
	work.Go(func() { _ = servers[0].Serve(plain) })
	work.Go(func() { _ = servers[1].Serve(tls.NewListener(secure, s.TLS())) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		servers[0].Close()
		servers[1].Close()
		work.Wait()
	})
	t.Cleanup(s.stop)
	return s
}

// level is what the log tells, which is all where a test is about that.
func level(t *testing.T) slog.Level {
	if t.Name() == "TestDebugLog" {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (s *site) challenge(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	token, asked := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	answer, ok := "", false
	if asked {
		answer, ok = s.Challenge(host, token)
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, answer)
}

// leaf returns the certificate that a client who trusts the authority gets for a host.
func (s *site) leaf(host string, roots *x509.CertPool) (*x509.Certificate, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: &tls.Config{ServerName: host, RootCAs: roots, InsecureSkipVerify: roots == nil}}
	conn, err := d.DialContext(s.t.Context(), "tcp", s.tls.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// await returns the certificate of a host as soon as there is one that is wanted.
func (s *site) await(host string, a *authority, wanted func(*x509.Certificate) bool) *x509.Certificate {
	s.t.Helper()
	end := time.Now().Add(patience)
	for {
		c, err := s.leaf(host, a.roots)
		if err == nil && wanted(c) {
			return c
		}
		if time.Now().After(end) {
			s.t.Fatalf("no certificate for %s: %v\n%s\n%s", host, err, s.log, a.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func anything(*x509.Certificate) bool { return true }

// acme is a configuration for hosts whose certificates are kept in a directory of their own.
func acme(t *testing.T, a *authority, hosts ...string) config.TLS {
	t.Helper()
	return config.TLS{ACME: config.ACME{
		Domains: hosts, Directory: a.directory, CA: a.ca, Email: "ops@" + strings.Join(hosts[:1], ""), Storage: filepath.Join(t.TempDir(), "acme"),
	}}
}
