package auth_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/jwk"
)

// expectFault demands a fault, and what becomes of clients meanwhile; "" is none.
func expectFault(t *testing.T, g auth.Gate, why string, some bool) {
	t.Helper()
	f, asks := g.Fault()
	switch {
	case !asks:
		t.Error("it asks nobody")
	case why == "" && f != nil:
		t.Errorf("there is a fault: %+v", f)
	case why != "" && (f == nil || !regexp.MustCompile(`^127\.0\.0\.1:\d+: `+why+`$`).MatchString(f.Why) || f.Some != some || time.Since(f.At) > time.Minute):
		t.Errorf("got %+v, want %s, %v", f, why, some)
	}
}

// How the last look-up ended is known between requests.
func TestFaultOfAServer(t *testing.T) {
	s := startAuth(t, status(500))
	for _, open := range []bool{false, true} {
		g := newForward(t, auth.ForwardOptions{URL: s.URL, FailOpen: open})
		expectFault(t, g, "", false)
		s.set(status(500))
		verdict(g, ask("/"))
		expectFault(t, g, "the answer is 500; 2xx, 401 and 403 are understood", open)
		s.set(status(403))
		verdict(g, ask("/"))
		expectFault(t, g, "", false)
	}
}

// Keys that could not be fetched are looked for again by whoever asks how it is, though no client comes.
func TestFaultOfKeys(t *testing.T) {
	_, key := webKey(t, "k1")
	server := startKeys(t)
	server.fail()
	g := newJWT(t, auth.JWTOptions{JWKS: server.URL})
	auth.Hurry(g)
	faulty := func() bool { f, _ := g.Fault(); return f != nil }
	eventually(t, "it is known that there are no keys", faulty)
	expectFault(t, g, "the answer is 500", false)
	server.serve(key)
	eventually(t, "the keys are there", func() bool { return !faulty() })
	auth.Hurry(g)
	server.fail()
	eventually(t, "it is known that they cannot be had", func() bool {
		token, _ := webKey(t, "k2") // that nobody knows
		judge(g, token())
		return faulty()
	})
	expectFault(t, g, "the answer is 500", true)
	secret, err := jwk.Secret(shared)
	if err != nil {
		t.Fatal(err)
	}
	if f, asks := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{secret}}).Fault(); f != nil || asks {
		t.Errorf("without a JWKS: %+v, asks %v", f, asks)
	}
}
