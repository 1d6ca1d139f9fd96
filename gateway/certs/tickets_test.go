package certs_test

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// client resumes the session that it had last.
func client(version uint16) *tls.Config {
	return &tls.Config{ServerName: "a.example.com", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

// resumes reports whether a client resumes its session.
func (s *served) resumes(c *tls.Config) bool {
	s.t.Helper()
	state, err := s.dial(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return state.DidResume
}

// expect fails unless clients of both versions that begin at one server resume at another as wanted.
func expect(t *testing.T, what string, from, to *served, want bool) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := client(version)
		if from.resumes(c) {
			t.Errorf("%s: a new client resumes", what)
		}
		if got := to.resumes(c); got != want {
			t.Errorf("%s, %s: resumes: %v", what, tls.VersionName(version), got)
		}
	}
}

// ticketed is a configuration whose tickets are so.
func ticketed(t *testing.T, tickets ...string) config.TLS {
	t.Helper()
	i := keyfiletest.NewAuthority(t, "a").Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
	return config.TLS{Certificates: []config.Certificate{files(t, t.TempDir(), "a", i)}, Tickets: tickets}
}

func TestTicketsOfOneReplica(t *testing.T) {
	t.Parallel()
	cfg := ticketed(t)
	a, b := serve(t, cfg, byHand), serve(t, cfg, byHand)
	expect(t, "the same", a, a, true)
	expect(t, "another", a, b, false)
	c := client(0)
	a.resumes(c)
	cfg.MinVersion = "1.3"
	if err := a.Update(cfg, certs.Store{}); err != nil || !a.resumes(c) {
		t.Errorf("a reload forgets the keys (%v)", err)
	}
	cfg.Tickets = []string{"off"}
	if err := a.Update(cfg, certs.Store{}); err != nil || a.resumes(c) || a.resumes(c) {
		t.Errorf("sessions are resumed though tickets are off (%v)", err)
	}
}

func TestTicketsByFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := func(name string, b byte) string {
		return keyfiletest.File(t, dir, name, []byte(fmt.Sprintf("%40d", b)))
	}
	one, two := key("one", 1), key("two", 2)
	cfg := ticketed(t, one)
	a, b := serve(t, cfg, byHand), serve(t, cfg, byHand)
	expect(t, "the same file", a, b, true)
	cfg.Tickets = []string{two, one}
	if err := b.Update(cfg, certs.Store{}); err != nil {
		t.Fatal(err)
	}
	expect(t, "the second file", a, b, true)
	expect(t, "a file that is not there", b, a, false)
	key("one", 2)
	a.Look()
	expect(t, "a file that has changed", b, a, true)
	a.log.await(t, "keys of session tickets reloaded", 1)
	keyfiletest.File(t, dir, "one", []byte("short"))
	a.Look()
	a.Look()
	expect(t, "a bad file", b, a, true)
	a.log.await(t, `one\" has 5 bytes`, 1)
	cfg.Tickets = nil
	if err := a.Update(cfg, certs.Store{}); err != nil {
		t.Fatal(err)
	}
	expect(t, "no file any more", b, a, false)
}

// clock is moved by hand.
type clock struct{ ahead atomic.Int64 }

// now begins an hour behind the start of period 100.
func (c *clock) now() time.Time {
	return time.Unix(0, 0).Add(100*12*time.Hour + time.Hour + time.Duration(c.ahead.Load()))
}

func (c *clock) move(by time.Duration)  { c.ahead.Add(int64(by)) }
func (c *clock) options() certs.Options { return certs.Options{}.WithClock(c.now) }

func storeOf(r *affinitytest.Redis) certs.Store {
	return certs.Store{Redis: r.Client(), Prefix: "test:"}
}

// follow has all ask Redis for keys, in their order.
func follow(all ...*served) {
	for _, s := range all {
		s.FollowTickets(s.t.Context())
	}
}

func TestTicketsByRedis(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	store, cfg, one, other := storeOf(rdb), ticketed(t, "redis"), new(clock), new(clock)
	a, b := serveBy(t, cfg, store, one.options()), serveBy(t, cfg, store, other.options())
	follow(a, b)
	expect(t, "another replica", a, b, true)
	expect(t, "and back", b, a, true)

	// A replica whose clock is ahead makes tickets that others can open, and all open old ones for two periods more.
	old := client(0)
	a.resumes(old)
	for n, want := range []bool{true, true, false} {
		one.move(12 * time.Hour)
		follow(a)
		expect(t, "ahead", a, b, true)
		expect(t, "behind", b, a, true)
		other.move(12 * time.Hour)
		follow(b)
		if ofA, ofB := a.resumes(withSession(old)), b.resumes(withSession(old)); ofA != want || ofB != want {
			t.Errorf("%d periods later: resumes: %v, %v", n+1, ofA, ofB)
		}
	}
	if fields := rdb.Do("HLEN", "test:!tickets"); fields != "4" {
		t.Errorf("Redis has %s keys", fields)
	}
	if ttl := rdb.Do("TTL", "test:!tickets"); len(ttl) != 6 || ttl > "172800" {
		t.Errorf("Redis keeps them for %s s", ttl)
	}
	asked := rdb.Calls("hgetall")
	follow(a, b)
	if n := rdb.Calls("hgetall"); n != asked {
		t.Error("Redis is asked at each look")
	}
	one.move(-24 * time.Hour)
	follow(a)
	if n := rdb.Calls("hgetall"); n != asked+1 {
		t.Error("Redis is not asked when the clock was set back")
	}
}

// withSession is a client with the session that another has, which it keeps.
func withSession(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.ClientSessionCache = frozen{c.ClientSessionCache}
	return c
}

type frozen struct{ tls.ClientSessionCache }

func (frozen) Put(string, *tls.ClientSessionState) {}

// Without Redis each replica goes on with the keys that it has, and one that begins then joins the others when Redis is back.
func TestTicketsWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	store, cfg, clock := storeOf(rdb), ticketed(t, "redis"), new(clock)
	a, b := serveBy(t, cfg, store, clock.options()), serveBy(t, cfg, store, clock.options())
	follow(a, b)
	kept := client(0)
	a.resumes(kept)
	rdb.Kill()
	clock.move(12 * time.Hour)
	late := serveBy(t, cfg, store, clock.options())
	follow(a, b, late)
	expect(t, "Redis is away", a, b, true)
	expect(t, "a replica by itself", late, late, true)
	expect(t, "a replica that Redis has told nothing", a, late, false)
	clock.move(time.Minute)
	follow(a, b, late)
	rdb.Restart() // empty
	for range 2 {
		clock.move(time.Minute)
		follow(a, b, late)
	}
	expect(t, "Redis is back", a, late, true)
	expect(t, "for all", late, b, true)
	if !b.resumes(withSession(kept)) {
		t.Error("what was begun before is not resumed")
	}
	for _, s := range []*served{a, b, late} {
		s.log.await(t, "session tickets are known to this replica alone", 1)
		s.log.await(t, "session tickets are shared by redis again", 1)
	}
}

// What cannot be a key is replaced, and what is old removed.
func TestTicketsByRedisWithOddKeys(t *testing.T) {
	t.Parallel()
	rdb := affinitytest.StartRedis(t)
	clock := new(clock)
	rdb.Do("HSET", "test:!tickets", "100", "short", "none", "x", "1", "old")
	a, b := serveBy(t, ticketed(t, "redis"), storeOf(rdb), clock.options()), serveBy(t, ticketed(t, "redis"), storeOf(rdb), clock.options())
	follow(a, b)
	for range 2 {
		clock.move(time.Minute)
		follow(a, b)
	}
	expect(t, "odd keys", a, b, true)
	if fields := rdb.Do("HLEN", "test:!tickets"); fields != "2" {
		t.Errorf("Redis has %s keys", fields)
	}
}

// Run asks by itself, and another Redis is asked as soon as the configuration names it.
func TestTicketsByAnotherRedis(t *testing.T) {
	t.Parallel()
	one, two, cfg := storeOf(affinitytest.StartRedis(t)), storeOf(affinitytest.StartRedis(t)), ticketed(t, "redis")
	always := certs.Options{}.WithEvery(often)
	a, b := serveBy(t, cfg, one, always), serveBy(t, cfg, two, always)
	shared := func() bool {
		c := client(0)
		a.resumes(c)
		return b.resumes(c)
	}
	if shared() {
		t.Error("two Redis have the same keys")
	}
	if err := b.Update(cfg, one); err != nil {
		t.Fatal(err)
	}
	affinitytest.Eventually(t, "clients resume at both", shared)
}
