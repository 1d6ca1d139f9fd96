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
	"slices"
	"strings"
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
		"not yet":              {jwt.MapClaims{"nbf": now.Unix() + 6}, auth.Early},
		"an end that is none":  {jwt.MapClaims{"exp": "tomorrow"}, auth.Claims},
		"another audience":     {jwt.MapClaims{"aud": "chats"}, auth.Audience},
		"no audience":          {jwt.MapClaims{"aud": nil}, auth.Audience},
		"another issuer":       {jwt.MapClaims{"iss": "https://id/"}, auth.Issuer},
		"no issuer":            {jwt.MapClaims{"iss": nil}, auth.Issuer},
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
