package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// files writes a certificate, and returns its files.
func files(t *testing.T, dir, name string, i keyfiletest.Issued) config.Certificate {
	t.Helper()
	cert, key := i.Write(t, dir, name)
	return config.Certificate{Cert: cert, Key: key}
}

func TestClientsGetTheCertificateTheyAskFor(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), keyfiletest.NewAuthority(t, "a")
	issue := func(name string, names ...string) config.Certificate {
		return files(t, dir, name, a.Issue(t, keyfiletest.Request{Names: names}))
	}
	s := serve(t, config.TLS{Certificates: []config.Certificate{
		issue("first", "first.example.com", "10.0.0.1"), issue("wild", "*.example.com", "*.Example.net"), issue("own", "own.example.com", "twice.example.com"),
		issue("later", "twice.example.com"), issue("top", "example.com"),
	}}, byHand)
	for name, want := range map[string]string{
		"own.example.com": "own.example.com", "OWN.example.com": "own.example.com", "other.example.com": "*.example.com", "x.example.net": "*.example.com",
		"example.com": "example.com", "twice.example.com": "own.example.com",
		"a.b.example.com": "first.example.com", "example.net": "first.example.com", "stranger.org": "first.example.com", "": "first.example.com", "com": "first.example.com",
	} {
		if got := s.leaf(name).DNSNames[0]; got != want {
			t.Errorf("%s gets %s, want %s", name, got, want)
		}
	}
}

// Old clients that know no ECDSA get the certificate with an RSA key, wherever it stands.
func TestClientsGetACertificateTheyUnderstand(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), keyfiletest.NewAuthority(t, "a")
	modern := files(t, dir, "modern", a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}))
	old := files(t, dir, "old", a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}, RSA: true}))
	s := serve(t, config.TLS{Certificates: []config.Certificate{modern, old}}, byHand)
	for suite, want := range map[uint16]x509.PublicKeyAlgorithm{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: x509.RSA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: x509.ECDSA,
	} {
		state, err := s.dial(&tls.Config{ServerName: "a.example.com", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != want {
			t.Errorf("%v, want %v (%v)", state.PeerCertificates, want, err)
		}
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	t.Parallel()
	i := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
	cfg := config.TLS{Certificates: []config.Certificate{files(t, t.TempDir(), "a", i)}, MinVersion: "1.2"}
	s := serve(t, cfg, often)
	accepts := func(want bool, what string, c *tls.Config) tls.ConnectionState {
		t.Helper()
		state, err := s.dial(c)
		if (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
		return state
	}
	accepts(false, "TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	accepts(true, "TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12})
	accepts(false, "a cipher without forward secrecy", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}})
	accepts(false, "HTTP/2 alone", &tls.Config{NextProtos: []string{"h2"}})
	if p := accepts(true, "HTTP/2 or 1.1", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}).NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("protocol %q", p)
	}
	cfg.MinVersion = "1.3"
	if err := s.Update(cfg, certs.Store{}); err != nil {
		t.Fatal(err)
	}
	accepts(false, "TLS 1.2 where 1.3 is the least", &tls.Config{MaxVersion: tls.VersionTLS12})
	accepts(true, "TLS 1.3", &tls.Config{})
}

// Files are read again whichever way they are replaced.
func TestFilesAreReloaded(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), keyfiletest.NewAuthority(t, "a")
	next := func(sub string) keyfiletest.Issued {
		t.Helper()
		i := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		i.Write(t, filepath.Join(dir, sub), "a")
		return i
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	link := func(target string) { // as Kubernetes replaces a Secret
		t.Helper()
		must(os.Symlink(target, filepath.Join(dir, "next")))
		must(os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")))
	}
	next("one")
	link("one")
	s := serve(t, config.TLS{Certificates: []config.Certificate{{Cert: filepath.Join(dir, "data/a.pem"), Key: filepath.Join(dir, "data/a.key")}}}, byHand)
	for n, replace := range []func() keyfiletest.Issued{
		func() keyfiletest.Issued { return next("one") }, // over what was there
		func() keyfiletest.Issued { i := next("two"); link("two"); return i },
		func() keyfiletest.Issued {
			i := next("three")
			must(errors.Join(os.Rename(filepath.Join(dir, "three/a.key"), filepath.Join(dir, "two/a.key")), os.Rename(filepath.Join(dir, "three/a.pem"), filepath.Join(dir, "two/a.pem"))))
			return i
		},
	} {
		want := replace().Leaf
		for range 2 {
			s.Look()
			if !s.leaf("").Equal(want) || s.log.count("certificate reloaded") != n+1 {
				t.Fatalf("clients do not get certificate %d\n%s", n+1, s.log.lines.String())
			}
		}
	}
	if s.log.count("is not taken") > 0 || len(s.log.events) != 3 || !strings.HasPrefix(s.log.events[0], "certificate reloaded, name a.example.com, file ") {
		t.Errorf("%s\n%q", s.log.lines.String(), s.log.events)
	}
}

// What is wrong with a new file is told once, and what it held before goes on.
func TestBadFilesAreNotTaken(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), keyfiletest.NewAuthority(t, "a")
	good := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
	other := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
	ended := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}, From: time.Now().Add(-2 * time.Hour), To: time.Now().Add(-time.Hour)})
	s := serve(t, config.TLS{Certificates: []config.Certificate{files(t, dir, "a", good)}}, byHand)
	for text, write := range map[string]func(){
		`a.key\" does not fit the certificate of a.example.com`: func() { keyfiletest.File(t, dir, "a.pem", other.Cert) },
		`a.pem\" holds no certificate in PEM`:                   func() { keyfiletest.File(t, dir, "a.pem") },
		`a.key: no such file or directory`:                      func() { os.Remove(filepath.Join(dir, "a.key")) },
		`a.pem\" has ended on `:                                 func() { ended.Write(t, dir, "a") },
	} {
		write()
		for n, told := range []int{0, 1, 1} { // what is bad at one look alone may be half written
			s.Look()
			if err := s.All()[0].Err; (err != nil) != (told > 0) || s.log.count(text) != told || !s.leaf("").Equal(good.Leaf) {
				t.Errorf("%s: look %d finds %v\n%s", text, n, err, s.log.lines.String())
			}
		}
		good.Write(t, dir, "a")
		if s.Look(); s.All()[0].Err != nil {
			t.Errorf("%s: it is good again, and %v", text, s.All()[0].Err)
		}
	}
	if s.log.count("certificate reloaded") > 0 {
		t.Error(s.log.lines.String())
	}
	if err := s.Update(config.TLS{Certificates: []config.Certificate{{Cert: dir, Key: dir}}}, certs.Store{}); err == nil || !s.leaf("").Equal(good.Leaf) {
		t.Errorf("an update with bad files: %v", err)
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	dir, a, b := t.TempDir(), keyfiletest.NewAuthority(t, "a"), keyfiletest.NewAuthority(t, "b")
	ca := keyfiletest.File(t, dir, "ca.pem", a.PEM)
	cfg := config.TLS{
		Certificates: []config.Certificate{files(t, dir, "server", a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}))},
		ClientCA:     ca, ClientAuth: "require",
	}
	s := serve(t, cfg, often)
	ofA, ofB := a.Issue(t, keyfiletest.Request{Names: []string{"client"}}).TLS(t), b.Issue(t, keyfiletest.Request{Names: []string{"client"}}).TLS(t)
	ended := a.Issue(t, keyfiletest.Request{From: time.Now().Add(-2 * time.Hour), To: time.Now().Add(-time.Hour)}).TLS(t)
	with := func(c *tls.Certificate) error {
		_, err := s.dial(&tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c == nil {
				c = &tls.Certificate{}
			}
			return c, nil
		}})
		return err
	}
	expect := func(what string, none, a, b bool) {
		t.Helper()
		for name, tt := range map[string]struct {
			c    *tls.Certificate
			want bool
		}{"no certificate": {nil, none}, "a's": {&ofA, a}, "b's": {&ofB, b}, "one that has ended": {&ended, false}} {
			if err := with(tt.c); (err == nil) != tt.want {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}
	expect("required", false, true, false)
	cfg.ClientAuth = "optional"
	if err := s.Update(cfg, certs.Store{}); err != nil {
		t.Fatal(err)
	}
	expect("optional", true, true, false)

	// A session that began with a certificate whose signer has gone is not resumed.
	resuming := &tls.Config{ServerName: "a.example.com", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	resuming.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &ofA, nil }
	for _, want := range []bool{false, true} {
		if state, err := s.dial(resuming); err != nil || state.DidResume != want {
			t.Fatalf("resumed: %v, want %v (%v)", state.DidResume, want, err)
		}
	}
	keyfiletest.File(t, dir, "ca.pem", b.PEM)
	s.log.await(t, "authorities of clients' certificates reloaded", 1)
	if state, err := s.dial(resuming); err == nil {
		t.Errorf("a client whose signer has gone is let in (resumed: %v)", state.DidResume)
	}
	expect("another signer", true, false, true)
	keyfiletest.File(t, dir, "ca.pem")
	s.log.await(t, `ca.pem\" holds no certificate`, 1)
	expect("a bad file", true, false, true)
}

// A certificate that should have been renewed is told of, once a day.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	dir, a, now, day := t.TempDir(), keyfiletest.NewAuthority(t, "a"), time.Now().UTC().Truncate(time.Second), 24*time.Hour
	issue := func(name string, from, to time.Duration) config.Certificate {
		return files(t, dir, name, a.Issue(t, keyfiletest.Request{Names: []string{name + ".example.com"}, From: now.Add(from), To: now.Add(to)}))
	}
	s := serve(t, config.TLS{Certificates: []config.Certificate{
		issue("later", -60*day, 14*day+time.Hour), issue("soon", -60*day, 14*day-time.Hour), issue("over", -60*day, -time.Hour),
		issue("short", -4*day, 2*day), issue("end-of-short", -5*day, day),
	}}, byHand)
	s.Look()
	issue("soon", -60*day, 13*day)
	s.Look()
	for name, want := range map[string]int{"later": 0, "soon": 1, "over": 1, "short": 0, "end-of-short": 1} {
		if n := s.log.count(`has not been renewed" name=` + name); n != want {
			t.Errorf("%s: told %d times", name, n)
		}
	}
	if all := s.All(); len(all) != 5 || all[0].Name != "later.example.com" || !all[0].Ends.Equal(now.Add(14*day+time.Hour)) || all[0].Late || !all[1].Late || all[0].Err != nil {
		t.Errorf("%+v", all)
	}
}

func TestNoCertificates(t *testing.T) {
	t.Parallel()
	if _, err := certs.New(config.TLS{Certificates: []config.Certificate{{Cert: "/none", Key: "/none"}}}, certs.Store{}, certs.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("files that are not there are taken")
	}
	if _, err := certs.New(config.TLS{ClientCA: "/dev/null"}, certs.Store{}, certs.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a file that is none is taken")
	}
	acme := config.ACME{Domains: []string{"a.example.com"}, Storage: t.TempDir(), Directory: "https://127.0.0.1:1/"} // where nobody is
	s := serve(t, config.TLS{ACME: acme}, often)
	s.log.await(t, "certificate not obtained, it is tried again", 1)
	for _, name := range []string{"a.example.com", "b.example.com", "c.example.com", ""} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if _, err := s.dial(&tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version}); err == nil || err.Error() != "remote error: tls: unrecognized name" {
				t.Errorf("%q gets %v", name, err)
			}
		}
	}
	for told, want := range map[string]int{"no certificate of their host yet": 1, "no certificate at all yet": 1, "b.example.com": 0, "c.example.com": 0} {
		if n := s.log.count(told); n != want {
			t.Errorf("%s is told %d times, want %d", told, n, want)
		}
	}
}
