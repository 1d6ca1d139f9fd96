package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/jwk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 20 * time.Second

const shared = "a-shared-secret-that-is-as-long-as-HS512-wants-it-to-be-and-not-less"

// now is the time at the gate.
var now = time.Unix(1_800_000_000, 0)

// signer makes tokens by a key.
type signer struct {
	method jwt.SigningMethod
	key    any
	public jwk.Key
}

func (s signer) token(t testing.TB, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	tok := jwt.NewWithClaims(s.method, claims)
	for i := 0; i < len(header); i += 2 {
		tok.Header[header[i]] = header[i+1]
	}
	text, err := tok.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func publicKey(t testing.TB, public any) jwk.Key {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := jwk.Parse(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

// signers returns one for each algorithm.
func signers(t testing.TB) map[string]signer {
	t.Helper()
	all := map[string]signer{}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodPS512} {
		all[m.Alg()] = signer{m, rs, publicKey(t, &rs.PublicKey)}
	}
	for m, c := range map[jwt.SigningMethod]elliptic.Curve{jwt.SigningMethodES256: elliptic.P256(), jwt.SigningMethodES384: elliptic.P384(), jwt.SigningMethodES512: elliptic.P521()} {
		k, _ := ecdsa.GenerateKey(c, rand.Reader)
		all[m.Alg()] = signer{m, k, publicKey(t, &k.PublicKey)}
	}
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	all["EdDSA"] = signer{jwt.SigningMethodEdDSA, private, publicKey(t, public)}
	secret, err := jwk.Secret(shared)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		all[m.Alg()] = signer{m, []byte(shared), secret}
	}
	return all
}

func newJWT(t testing.TB, o auth.JWTOptions) *auth.JWT {
	t.Helper()
	o.Now, o.Required = func() time.Time { return now }, true
	g := auth.NewJWT(o)
	t.Cleanup(g.Close)
	return g
}

func judge(g auth.Gate, token string) auth.Verdict {
	v, later := g.Judge(&auth.Ask{Token: token, Header: func(string) string { return "" }})
	if later != nil {
		v = later()
	}
	return v
}

func TestEveryAlgorithmTakesItsOwnKeyAlone(t *testing.T) {
	all := signers(t)
	if len(all) != len(jwk.Algorithms) {
		t.Fatalf("%d algorithms of %d", len(all), len(jwk.Algorithms))
	}
	claims := jwt.MapClaims{"sub": "me"}
	for name, s := range all {
		g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{s.public}})
		if v := judge(g, s.token(t, claims)); v.Outcome != auth.Granted {
			t.Errorf("%s: %v", name, v.Outcome)
		}
		good := s.token(t, claims)
		head, _, _ := strings.Cut(good, ".")
		body := good[len(head)+1 : strings.LastIndexByte(good, '.')]
		for what, bad := range map[string]string{
			"another payload":  head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"you"}`)) + good[strings.LastIndexByte(good, '.'):],
			"no signature":     head + "." + body + ".",
			"none":             base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + body + ".",
			"NONE":             base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"NONE"}`)) + "." + body + ".",
			"two parts":        head + "." + body,
			"four parts":       good + ".x",
			"long":             good + strings.Repeat("A", 20000),
			"a critical field": s.token(t, claims, "crit", "b64"),
			"nonsense":         "eyJ.eyJ.eyJ",
		} {
			if v := judge(g, bad); v.Outcome != auth.Signature {
				t.Errorf("%s, %s: %v", name, what, v.Outcome)
			}
		}
		for other, o := range all {
			if other == name || o.public.Fits(name) && fmt.Sprint(o.key) == fmt.Sprint(s.key) {
				continue
			}
			if v := judge(g, o.token(t, claims)); v.Outcome != auth.Signature && !s.public.Fits(other) {
				t.Errorf("a key for %s takes %s: %v", name, other, v.Outcome)
			}
		}
	}
}

// A key that is for one algorithm verifies no other, although it could.
func TestAKeyMayBeForOneAlgorithm(t *testing.T) {
	all := signers(t)
	for good, bad := range map[string]string{"PS384": "RS256", "RS256": "PS256", "HS256": "HS512"} {
		k := all[good].public
		k.Algorithms = []string{good}
		g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{k}})
		if v := judge(g, all[good].token(t, jwt.MapClaims{})); v.Outcome != auth.Granted {
			t.Errorf("%s: %v", good, v.Outcome)
		}
		if v := judge(g, all[bad].token(t, jwt.MapClaims{})); v.Outcome != auth.Signature {
			t.Errorf("a key for %s alone takes %s: %v", good, bad, v.Outcome)
		}
	}
}

// Of two values of a name each reader could believe another, so none is believed.
func TestANameMayStandInATokenOnce(t *testing.T) {
	s := signers(t)["HS256"]
	g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{s.public}})
	const head, claims = `{"alg":"HS256","typ":"JWT"}`, `{"sub":"me"}`
	for _, c := range []struct {
		head, claims string
		want         auth.Outcome
	}{
		{head, claims, auth.Granted},
		{head, ` { } `, auth.Granted},
		{head, `{"a:\"b":{"sub":1,"x":[{"sub":2}]},"sub":"\\","c":"\"},{:"}`, auth.Granted},
		{`{"alg":"none","alg":"HS256"}`, claims, auth.Signature},
		{`{"alg":"HS256","kid":"a","kid":"b"}`, claims, auth.Signature},
		{`{"alg":"HS256","\u0061lg":"HS256"}`, claims, auth.Signature},
		{head, `{"sub":"root","sub":"me"}`, auth.Signature},
		{head, `{"exp":1,"exp":4000000000}`, auth.Signature},
		{head, `{"a":{},"s\u0075b":[],"sub":"me"}`, auth.Signature},
		{head, claims + `{"sub":"root"}`, auth.Signature},
	} {
		signed := base64.RawURLEncoding.EncodeToString([]byte(c.head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(c.claims))
		signature, err := s.method.Sign(signed, s.key)
		if err != nil {
			t.Fatal(err)
		}
		if v := judge(g, signed+"."+base64.RawURLEncoding.EncodeToString(signature)); v.Outcome != c.want {
			t.Errorf("%s %s: %v, want %v", c.head, c.claims, v.Outcome, c.want)
		}
	}
}

// What takes long is left to a goroutine.
func TestOnlySecretsAreVerifiedAtOnce(t *testing.T) {
	for name, s := range signers(t) {
		g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{s.public}})
		if _, later := g.Judge(&auth.Ask{Token: s.token(t, jwt.MapClaims{})}); (later == nil) != s.public.Shared() {
			t.Errorf("%s: later is %v", name, later != nil)
		}
	}
}

// The public key of RSA is known to all, so it must not do as a secret.
func TestAPublicKeyIsNoSecret(t *testing.T) {
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	der, _ := x509.MarshalPKIXPublicKey(&rs.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	g := newJWT(t, auth.JWTOptions{Keys: []jwk.Key{publicKey(t, &rs.PublicKey)}})
	for _, secret := range [][]byte{text, der, []byte(strings.TrimSpace(string(text)))} {
		if v := judge(g, signer{method: jwt.SigningMethodHS256, key: secret}.token(t, jwt.MapClaims{})); v.Outcome != auth.Signature {
			t.Error(v.Outcome)
		}
	}
}

func TestClaimsAreChecked(t *testing.T) {
	s := signers(t)["HS256"]
	g := newJWT(t, auth.JWTOptions{
		Keys: []jwk.Key{s.public}, Algorithms: []string{"HS256"}, Issuer: "https://id", Audience: []string{"chat", "game"}, Leeway: 5 * time.Second,
		Claims: []auth.Claim{{Name: "sub", Header: "X-User"}, {Name: "n", Header: "X-N"}, {Name: "roles", Header: "X-Roles"}, {Name: "nobody", Header: "X-Nobody"}},
	})
	valid := func(change jwt.MapClaims) string {
		claims := jwt.MapClaims{"iss": "https://id", "aud": []string{"x", "chat"}, "sub": "me", "exp": now.Unix() + 60}
		for name, v := range change {
			if claims[name] = v; v == nil {
				delete(claims, name)
			}
		}
		return s.token(t, claims)
	}
	for name, c := range map[string]struct {
		change jwt.MapClaims
		want   auth.Outcome
	}{
		"as it should be":      {nil, auth.Granted},
		"one audience":         {jwt.MapClaims{"aud": "game"}, auth.Granted},
		"within the leeway":    {jwt.MapClaims{"exp": now.Unix() - 4, "nbf": now.Unix() + 4}, auth.Granted},
		"no end":               {jwt.MapClaims{"exp": nil}, auth.Granted},
		"a far end":            {jwt.MapClaims{"exp": 1e15}, auth.Granted},
		"expired":              {jwt.MapClaims{"exp": now.Unix() - 6}, auth.Expired},
		"expired at the start": {jwt.MapClaims{"exp": 0}, auth.Expired},
		"expired, and more":    {jwt.MapClaims{"exp": now.Unix() - 6, "iss": "x"}, auth.Expired},
		"not yet":              {jwt.MapClaims{"nbf": now.Unix() + 6}, auth.Claims},
		"an end that is none":  {jwt.MapClaims{"exp": "tomorrow"}, auth.Claims},
		"another audience":     {jwt.MapClaims{"aud": "chats"}, auth.Claims},
		"no audience":          {jwt.MapClaims{"aud": nil}, auth.Claims},
		"another issuer":       {jwt.MapClaims{"iss": "https://id/"}, auth.Claims},
		"no issuer":            {jwt.MapClaims{"iss": nil}, auth.Claims},
		"a line break":         {jwt.MapClaims{"sub": "me\r\nX-Admin: 1"}, auth.Claims},
		"a blank at the end":   {jwt.MapClaims{"sub": "me "}, auth.Claims},
		"NUL":                  {jwt.MapClaims{"sub": "me\x00"}, auth.Claims},
	} {
		if v := judge(g, valid(c.change)); v.Outcome != c.want {
			t.Errorf("%s: %v, want %v", name, v.Outcome, c.want)
		}
	}
	v := judge(g, valid(jwt.MapClaims{"n": 9007199254740993, "roles": []string{"a", "b,c", "Zoë", "𝄞"}, "sub": "Zoë"}))
	want := []auth.Field{{Name: "X-User", Value: "Zoë"}, {Name: "X-N", Value: "9007199254740993"}, {Name: "X-Roles", Value: `["a","b,c","Zo\u00eb","\ud834\udd1e"]`}}
	if !slices.Equal(v.Fields, want) || v.Ends != now.Unix()+65 {
		t.Errorf("got %v, ends %d", v.Fields, v.Ends-now.Unix())
	}
	if v := judge(g, ""); v.Outcome != auth.Missing {
		t.Errorf("no token: %v", v.Outcome)
	}
	if v := judge(g, signers(t)["HS384"].token(t, jwt.MapClaims{"iss": "https://id", "aud": "chat"})); v.Outcome != auth.Signature {
		t.Errorf("an algorithm that is not allowed: %v", v.Outcome)
	}
	lax := auth.NewJWT(auth.JWTOptions{Keys: []jwk.Key{s.public}})
	defer lax.Close()
	if v := judge(lax, ""); v.Outcome != auth.Granted || v.Fields != nil {
		t.Errorf("no token, and none required: %+v", v)
	}
	if v := judge(lax, "eyJ"); v.Outcome != auth.Signature {
		t.Errorf("a bad token, and none required: %v", v.Outcome)
	}
}

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
	if err := <-failed; !strings.HasSuffix(err.Error(), "the answer is 500; the keys that are known stay in use") {
		t.Errorf("told %v", err)
	}
	auth.Pause(g, time.Hour)
	asked := server.asked.Load()
	for range 100 {
		if v := judge(g, second()); v.Outcome != auth.Unreachable {
			t.Fatalf("a kid that is unknown: %v", v.Outcome)
		}
	}
	if n := server.asked.Load() - asked; n > 0 {
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

// BenchmarkJudge tells what a token costs on the loop, and off it.
func BenchmarkJudge(b *testing.B) {
	for name, s := range signers(b) {
		b.Run(name, func(b *testing.B) {
			g := newJWT(b, auth.JWTOptions{Keys: []jwk.Key{s.public}, Issuer: "https://id", Audience: []string{"chat"}, Claims: []auth.Claim{{Name: "sub", Header: "X-User"}}})
			token := s.token(b, jwt.MapClaims{"iss": "https://id", "aud": "chat", "sub": "me", "exp": now.Unix() + 60})
			b.ReportAllocs()
			for b.Loop() {
				if judge(g, token).Outcome != auth.Granted {
					b.Fatal("refused")
				}
			}
		})
	}
}
