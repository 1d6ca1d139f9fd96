package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/jwk"
)

// keyServer serves a set of keys that a test changes.
type keyServer struct {
	*httptest.Server
	set   atomic.Pointer[string] // "" answers 500
	asked atomic.Int64
}

func startKeys(t *testing.T) *keyServer {
	k := &keyServer{}
	k.serve()
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.asked.Add(1)
		if set := *k.set.Load(); set != "" {
			fmt.Fprint(w, set)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(k.Close)
	return k
}

// serve has these keys in the set, and fail none.
func (k *keyServer) serve(keys ...string) {
	k.set.Store(new(`{"keys":[` + strings.Join(keys, ",") + `]}`))
}

func (k *keyServer) fail() { k.set.Store(new(string)) }

// webKey makes a signer whose key has a kid, and the key in JSON.
func webKey(t *testing.T, kid string) (token func() string, json string) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	s := signer{method: jwt.SigningMethodEdDSA, key: private}
	return func() string { return s.token(t, jwt.MapClaims{}, "kid", kid) },
		fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, kid, base64.RawURLEncoding.EncodeToString(public))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	first, firstKey := webKey(t, "k1")
	second, secondKey := webKey(t, "k2")
	server := startKeys(t)
	server.serve(firstKey)
	var faults, mended atomic.Int64
	g := newJWT(t, auth.JWTOptions{JWKS: server.URL, OnFault: func(err error) {
		if err != nil {
			faults.Add(1)
		} else {
			mended.Add(1)
		}
	}})
	eventually(t, "the first key is known", func() bool { return judge(g, first()).Outcome == auth.Granted })
	for range 100 {
		if v := judge(g, second()); v.Outcome != auth.Unreachable {
			t.Fatalf("a key that may be a new one: %v", v.Outcome)
		}
	}
	if n := server.asked.Load(); n != 1 {
		t.Errorf("asked %d times for keys that nobody has", n)
	}
	auth.Hurry(g)
	server.serve(secondKey, firstKey)
	eventually(t, "the second key is known", func() bool { return judge(g, second()).Outcome == auth.Granted })

	server.fail()
	third, thirdKey := webKey(t, "k3")
	eventually(t, "it is told that the keys cannot be had", func() bool {
		if v := judge(g, third()); v.Outcome != auth.Unreachable && v.Outcome != auth.Kid {
			t.Fatal(v.Outcome)
		}
		return faults.Load() > 0
	})
	if v := judge(g, third()); v.Outcome != auth.Unreachable {
		t.Errorf("a key that may be a new one: %v", v.Outcome)
	}
	for range 20 {
		if v := judge(g, first()); v.Outcome != auth.Granted {
			t.Fatalf("a key that is known: %v", v.Outcome)
		}
	}
	server.serve(secondKey, thirdKey)
	eventually(t, "the third key is known", func() bool { return judge(g, third()).Outcome == auth.Granted })
	eventually(t, "it is told", func() bool { return mended.Load() == 1 })
	if v := judge(g, first()); v.Outcome == auth.Granted {
		t.Error("a key that is no more lets clients in")
	}
	if n := faults.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// A kid that is new waits for the set that is fetched next, which needs nobody to ask again; one that such a set lacks is refused, and
// others that nobody has heard of are not.
func TestAKidIsRefusedByASetThatIsNewer(t *testing.T) {
	first, firstKey := webKey(t, "k1")
	second, secondKey := webKey(t, "k2")
	invented, _ := webKey(t, "none")
	server := startKeys(t)
	server.serve(firstKey)
	g := newJWT(t, auth.JWTOptions{JWKS: server.URL})
	eventually(t, "the first key is known", func() bool { return judge(g, first()).Outcome == auth.Granted })
	for _, token := range []string{second(), invented()} {
		if v := judge(g, token); v.Outcome != auth.Unreachable {
			t.Fatalf("a kid that is new: %v", v.Outcome)
		}
	}
	server.serve(firstKey, secondKey)
	auth.Pause(g, 100*time.Millisecond)
	eventually(t, "the set is fetched again", func() bool { return server.asked.Load() == 2 })
	auth.Pause(g, time.Hour)
	eventually(t, "the second key is known", func() bool { return judge(g, second()).Outcome == auth.Granted })
	if v := judge(g, invented()); v.Outcome != auth.Kid {
		t.Errorf("a kid that is in no set: %v", v.Outcome)
	}
	third, _ := webKey(t, "k3")
	anybody := signers(t)["EdDSA"]
	for n := range 2 * auth.MostKids {
		if v := judge(g, anybody.token(t, jwt.MapClaims{}, "kid", fmt.Sprint(n))); v.Outcome != auth.Unreachable {
			t.Fatalf("an invented kid: %v", v.Outcome)
		}
	}
	if v := judge(g, third()); v.Outcome != auth.Unreachable {
		t.Errorf("a kid that is new, after many that are invented: %v", v.Outcome)
	}
	if n := auth.Kids(g); n > auth.MostKids {
		t.Errorf("%d kids are remembered", n)
	}
	if n := server.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// A set that fails is asked for unknown kids as seldom as one that does not.
func TestAFailingSetIsNotAskedAgain(t *testing.T) {
	first, firstKey := webKey(t, "k1")
	second, _ := webKey(t, "k2")
	server := startKeys(t)
	server.serve(firstKey)
	failed := make(chan error, 1)
	g := newJWT(t, auth.JWTOptions{JWKS: server.URL, OnFault: func(err error) { failed <- err }})
	eventually(t, "the first key is known", func() bool { return judge(g, first()).Outcome == auth.Granted })
	server.fail()
	auth.Pause(g, 200*time.Millisecond)
	judge(g, second())
	if err := <-failed; !strings.HasSuffix(err.Error(), "the answer is 500; the keys that are known stay in use, while tokens by a new one get 503") {
		t.Errorf("told %v", err)
	}
	auth.Pause(g, time.Hour)
	asked := server.asked.Load()
	for range 100 {
		if v := judge(g, second()); v.Outcome != auth.Unreachable {
			t.Fatalf("a kid that is unknown: %v", v.Outcome)
		}
	}
	if n := server.asked.Load() - asked; n > 1 { // one may have been under way
		t.Errorf("asked %d times more", n)
	}
}

// A key without kid is tried for each kid; that it is not the one does not keep the set from being asked.
func TestAKeyWithoutKidHidesNoOther(t *testing.T) {
	second, secondKey := webKey(t, "k2")
	server := startKeys(t)
	_, firstKey := webKey(t, "k1")
	server.serve(firstKey)
	g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{signers(t)["EdDSA"].public}, JWKS: server.URL})
	eventually(t, "asked", func() bool { return server.asked.Load() == 1 })
	auth.Pause(g, 100*time.Millisecond)
	server.serve(secondKey)
	eventually(t, "the second key is known", func() bool { return judge(g, second()).Outcome == auth.Granted })
}

func TestKeysThatWereNeverThere(t *testing.T) {
	token, key := webKey(t, "k1")
	server := startKeys(t)
	server.fail()
	failed := make(chan error, 2)
	g := newJWT(t, auth.JWTOptions{JWKS: server.URL, OnFault: func(err error) { failed <- err }})
	if err := <-failed; !strings.HasSuffix(err.Error(), "the answer is 500; no key of it is known yet, so tokens that need one get 503") {
		t.Errorf("told %v", err)
	}
	auth.Hurry(g)
	eventually(t, "it is asked again, though nobody needs a key", func() bool { return server.asked.Load() > 3 })
	if v := judge(g, token()); v.Outcome != auth.Unreachable {
		t.Errorf("got %v", v.Outcome)
	}
	for _, bad := range []string{`{"keys":[]}`, `[]`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, strings.Repeat(" ", 2<<20)} {
		asked := server.asked.Load()
		server.set.Store(&bad)
		eventually(t, "asked again", func() bool {
			if v := judge(g, token()); v.Outcome != auth.Unreachable {
				t.Fatalf("%.20s: %v", bad, v.Outcome)
			}
			return server.asked.Load() > asked+1
		})
	}
	server.serve(key)
	if err := <-failed; err != nil {
		t.Errorf("told %v", err)
	}
	if v := judge(g, token()); v.Outcome != auth.Granted {
		t.Errorf("the key is there: %v", v.Outcome)
	}
}
