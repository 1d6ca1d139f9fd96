package acmetest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

const prefix = "test:"

// Each challenge alone has a certificate obtained, which is kept, and read when a process begins.
func TestObtain(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			plain, secure := listen(t), listen(t)
			a := newAuthority(t, plain, secure, odd{})
			cfg := acme(t, a, "a.example.com", "b.example.com")
			cfg.ACME.Challenges = []string{challenge}
			s := open(t, cfg, certs.Store{}, plain, secure)
			first := s.await("a.example.com", a, anything)
			s.await("b.example.com", a, anything)
			all := s.All()
			if len(all) != 2 || all[0].Name != "a.example.com" || !all[0].Ends.Equal(first.NotAfter) || all[0].Err != nil || all[0].Late {
				t.Errorf("%+v", all)
			}
			if !strings.Contains(s.log.String(), `msg="certificate obtained" name=a.example.com renewal=false`) || strings.Count(s.log.String(), "\n") != 2 {
				t.Errorf("the log:\n%s", s.log)
			}
			if info, err := os.Stat(cfg.ACME.Storage); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the directory: %v %v", info.Mode(), err)
			}
			s.stop()
			orders := a.orders()
			again := open(t, cfg, certs.Store{}, listen(t), listen(t))
			if c := again.await("a.example.com", a, anything); !c.Equal(first) || a.orders() != orders || orders == 0 {
				t.Errorf("it was obtained again: %d orders, then %d", orders, a.orders())
			}
		})
	}
}

// A certificate that is due is renewed as soon as a process begins, and served until then.
func TestRenew(t *testing.T) {
	plain, secure := listen(t), listen(t)
	a := newAuthority(t, plain, secure, odd{lasts: 10 * time.Second})
	cfg := acme(t, a, "a.example.com")
	s := open(t, cfg, certs.Store{}, plain, secure)
	first := s.await("a.example.com", a, anything)
	s.stop()
	<-time.After(time.Until(first.NotAfter.Add(-2 * time.Second)))
	s = open(t, cfg, certs.Store{}, relisten(t, plain), relisten(t, secure))
	s.await("a.example.com", a, func(c *x509.Certificate) bool { return !c.Equal(first) })
	if !strings.Contains(s.log.String(), `msg="certificate obtained" name=a.example.com renewal=true`) {
		t.Errorf("the log:\n%s", s.log)
	}
}

// relisten opens a port again.
func relisten(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// Why a host has no certificate is told once, and shown all the time; the other hosts have theirs.
func TestNoCertificate(t *testing.T) {
	plain, secure := listen(t), listen(t)
	a := newAuthority(t, plain, secure, odd{wantsAccount: true})
	cfg := acme(t, a, "a.example.com")
	s := open(t, cfg, certs.Store{}, plain, secure)
	affinitytest.Eventually(t, "the authority refuses", func() bool { return s.All()[0].Err != nil })
	if c := s.All()[0]; c.Name != "a.example.com" || !c.Ends.IsZero() || !strings.Contains(c.Err.Error(), "externalAccountRequired") {
		t.Errorf("%+v", c)
	}
	if n := strings.Count(s.log.String(), `msg="certificate not obtained, it is tried again" name=a.example.com`); n != 1 {
		t.Errorf("told %d times:\n%s", n, s.log)
	}
	if _, err := s.leaf("a.example.com", a.roots); err == nil || err.Error() != "remote error: tls: unrecognized name" {
		t.Errorf("a client gets %v", err)
	}
	if told := regexp.MustCompile(`msg="clients are refused, since there is no certificate of their host yet: .* name=a.example.com error=.*externalAccountRequired`); !told.MatchString(s.log.String()) {
		t.Errorf("nobody is told why:\n%s", s.log)
	}
	cfg.MinVersion = "1.3"
	must(t, s, cfg)
	if s.All()[0].Err == nil {
		t.Error("what has nothing to do with it has it tried anew")
	}
	// With an account there is one.
	cfg.ACME.EABKid, cfg.ACME.EABHMAC = kid, hmac
	must(t, s, cfg)
	s.await("a.example.com", a, anything)
	if c := s.All()[0]; c.Err != nil || strings.Contains(s.log.String(), hmac) {
		t.Errorf("%+v\n%s", c, s.log)
	}
}

func must(t *testing.T, s *site, cfg config.TLS) {
	t.Helper()
	use, err := s.Prepare(cfg, certs.Store{})
	if err != nil {
		t.Fatal(err)
	}
	use()
}

// All that is done can be seen, but for keys.
func TestDebugLog(t *testing.T) {
	plain, secure := listen(t), listen(t)
	a := newAuthority(t, plain, secure, odd{wantsAccount: true})
	cfg := acme(t, a, "a.example.com")
	cfg.ACME.EABKid, cfg.ACME.EABHMAC = kid, hmac
	s := open(t, cfg, certs.Store{}, plain, secure)
	s.await("a.example.com", a, anything)
	for _, text := range []string{`level=DEBUG msg="acme: `, `identifier=a.example.com`} {
		if !strings.Contains(s.log.String(), text) {
			t.Errorf("no %s in\n%s", text, s.log)
		}
	}
	for _, secret := range []string{hmac, "PRIVATE KEY"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%s is in\n%s", secret, s.log)
		}
	}
}

// Hosts come and go while clients are served. Files come first, but for one with a * where the host itself was named to be obtained.
func TestHostsChange(t *testing.T) {
	plain, secure := listen(t), listen(t)
	a := newAuthority(t, plain, secure, odd{})
	cfg := acme(t, a, "a.example.com")
	s := open(t, cfg, certs.Store{}, plain, secure)
	first := s.await("a.example.com", a, anything)
	got := func(host string) *x509.Certificate {
		t.Helper()
		c, err := s.leaf(host, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := got("stranger.org"); !c.Equal(first) {
		t.Errorf("a stranger gets %v", c.DNSNames)
	}
	issue := func(name string) (config.Certificate, *x509.Certificate) {
		i := keyfiletest.NewAuthority(t, "files").Issue(t, keyfiletest.Request{Names: []string{name}})
		cert, key := i.Write(t, t.TempDir(), "x")
		return config.Certificate{Cert: cert, Key: key}, i.Leaf
	}
	wild, wildLeaf := issue("*.example.com")
	own, ownLeaf := issue("own.example.com")
	cfg.Certificates = []config.Certificate{wild, own}
	cfg.ACME.Domains = []string{"a.example.com", "b.example.com", "own.example.com"}
	must(t, s, cfg)
	for host, want := range map[string]*x509.Certificate{"a.example.com": first, "own.example.com": ownLeaf, "other.example.com": wildLeaf, "stranger.org": wildLeaf} {
		if c := got(host); !c.Equal(want) {
			t.Errorf("%s gets %v", host, c.DNSNames)
		}
	}
	b := s.await("b.example.com", a, anything)
	orders := a.orders()
	cfg.MinVersion = "1.3"
	must(t, s, cfg)
	if c := got("b.example.com"); !c.Equal(b) || a.orders() != orders {
		t.Error("what has nothing to do with it has it obtained again")
	}
	cfg.ACME.Domains = cfg.ACME.Domains[:1]
	must(t, s, cfg)
	if c := got("b.example.com"); !c.Equal(wildLeaf) || !got("a.example.com").Equal(first) {
		t.Errorf("a host that is named no more has %v", c.DNSNames)
	}
}

// An authority has no client certificate, and gets in for the challenge alone.
func TestClientCertificatesAndChallenges(t *testing.T) {
	plain, secure := listen(t), listen(t)
	a := newAuthority(t, plain, secure, odd{})
	clients := keyfiletest.NewAuthority(t, "clients")
	cfg := acme(t, a, "a.example.com")
	cfg.ClientCA, cfg.ClientAuth = keyfiletest.File(t, t.TempDir(), "clients.pem", clients.PEM), "require"
	cfg.ACME.Challenges = []string{"tls-alpn-01"}
	s := open(t, cfg, certs.Store{}, plain, secure)
	affinitytest.Eventually(t, "it is obtained", func() bool { return !s.All()[0].Ends.IsZero() })
	for _, host := range []string{"a.example.com", "b.example.com"} {
		conn, err := tls.Dial("tcp", secure.Addr().String(), &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"acme-tls/1"}})
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: somebody gets in behind no challenge", host)
		}
	}
}

// The challenge of one replica is answered by the other, both have the certificate, and it is obtained once.
func TestReplicasShare(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			rdb := affinitytest.StartRedis(t)
			store := certs.Store{Redis: rdb.Client(), Prefix: prefix}
			plain, secure := listen(t), listen(t)
			a := newAuthority(t, plain, secure, odd{})
			cfg := acme(t, a, "a.example.com")
			cfg.ACME.Storage, cfg.ACME.Challenges = "redis", []string{challenge}
			one := open(t, cfg, store, listen(t), listen(t))
			affinitytest.Eventually(t, "the authority asks, and nobody answers yet", func() bool {
				return strings.Contains(a.log.String(), "Pulled a task from the Tasks queue")
			})
			startReplica(t, another{cfg, rdb.URL()}, plain, secure)
			other := &site{t: t, tls: secure, log: one.log}
			first := one.await("a.example.com", a, anything)
			if c := other.await("a.example.com", a, anything); !c.Equal(first) || a.orders() != 1 {
				t.Errorf("replicas have different certificates, of %d orders", a.orders())
			}
			asked := rdb.Calls("hget")
			for n := range 1000 {
				if _, ok := one.Challenge("a.example.com", fmt.Sprint(n)); ok {
					t.Fatal("a challenge that there is not is answered")
				}
				_, _ = one.Challenge(fmt.Sprint(n, ".example.com"), "x")
			}
			if n := rdb.Calls("hget") - asked; n > 100 {
				t.Errorf("strangers have Redis asked %d times", n)
			}
		})
	}
}
