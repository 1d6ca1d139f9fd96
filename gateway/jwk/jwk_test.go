package jwk_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/jwk"
)

func block(t testing.TB, kind string, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func ec(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// web is a key of EC as JSON, with more members.
func web(t testing.TB, k *ecdsa.PrivateKey, more string) string {
	t.Helper()
	b, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	size := (len(b) - 1) / 2
	return fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q%s}`, k.Params().Name, b64(b[1:1+size]), b64(b[1+size:]), more)
}

func TestAKeyFitsItsOwnAlgorithmsAlone(t *testing.T) {
	ed, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "id"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, ed, edPrivate)
	if err != nil {
		t.Fatal(err)
	}
	p256 := ec(t, elliptic.P256())
	rsaJSON := fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB","kid":"r","use":"sig","alg":"PS384"}`, b64(rs.N.Bytes()))
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"ed25519":         {block(t, "PUBLIC KEY", ed), "[ [EdDSA]]"},
		"certificate":     {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), "[ [EdDSA]]"},
		"P-256":           {block(t, "PUBLIC KEY", &p256.PublicKey), "[ [ES256]]"},
		"P-384":           {block(t, "PUBLIC KEY", &ec(t, elliptic.P384()).PublicKey), "[ [ES384]]"},
		"P-521":           {block(t, "PUBLIC KEY", &ec(t, elliptic.P521()).PublicKey), "[ [ES512]]"},
		"RSA":             {block(t, "PUBLIC KEY", &rs.PublicKey), "[ [RS256 RS384 RS512 PS256 PS384 PS512]]"},
		"RSA, old":        {string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rs.PublicKey)})), "[ [RS256 RS384 RS512 PS256 PS384 PS512]]"},
		"two":             {"# the old one\n" + block(t, "PUBLIC KEY", ed) + "\n" + block(t, "PUBLIC KEY", &p256.PublicKey), "[ [EdDSA]  [ES256]]"},
		"JWK":             {web(t, p256, `,"kid":"k1"`), "[k1 [ES256]]"},
		"JWK of RSA":      {rsaJSON, "[r [PS384]]"},
		"JWK of Ed25519":  {fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q,"kid":"e"}`, b64(ed)), "[e [EdDSA]]"},
		"set with others": {`{"keys":[{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"},{"kty":"OKP","crv":"X25519","x":"AA"},{"kty":"new"},` + web(t, p256, `,"kid":"k","use":"sig","key_ops":["verify"]`) + `]}`, "[k [ES256]]"},
	} {
		keys, err := jwk.Parse(c.text)
		if got := fmt.Sprint(keys); err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", name, got, err, c.want)
		}
	}
	for n, want := range map[int]string{32: " [HS256]", 48: " [HS256 HS384]", 64: " [HS256 HS384 HS512]"} {
		if k, err := jwk.Secret(strings.Repeat("x", n)); err != nil || k.String() != want || !k.Shared() || k.Fits("none") {
			t.Errorf("%d bytes: %v %v", n, k, err)
		}
	}
}

func TestWhatIsNoKey(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	p256 := ec(t, elliptic.P256())
	private, _ := x509.MarshalPKCS8PrivateKey(p256)
	good := web(t, p256, "")
	for text, want := range map[string]string{
		"":       "there is no key",
		"secret": "there is no key",
		"{":      "not JSON",
		"{}":     "not for verifying",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})): "a private key",
		web(t, p256, `,"d":"AAAA"`):                                                          "a private key",
		`{"keys":[` + good + `,` + web(t, p256, `,"d":"AAAA"`) + `]}`:                        "a private key",
		`{"kty":"oct","k":"AAAA"}`:                                                           "a shared secret",
		block(t, "PUBLIC KEY", &small.PublicKey):                                             "1024 bits",
		fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, b64(small.N.Bytes())):                 "1024 bits",
		fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"Ag"}`, b64(slices.Repeat([]byte{0xff}, 256))):  "exponent",
		`{"kty":"RSA","n":"","e":"AQAB"}`:                                                    "cannot be read",
		fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, strings.Repeat("_", 4000)):            "cannot be read",
		`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`:                                   "cannot be read",
		fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%[1]q,"y":%[1]q}`, b64(make([]byte, 32))): "cannot be read", // not on the curve
		strings.Replace(good, "P-256", "P-384", 1):                                           "cannot be read",
		strings.Replace(good, "P-256", "secp256k1", 1):                                       "not for verifying",
		web(t, p256, `,"alg":"ES384"`):                                                       "not for verifying",
		web(t, p256, `,"alg":"HS256"`):                                                       "not for verifying",
		`{"keys":[` + strings.Repeat(good+",", 100) + good + `]}`:                            "more than 100",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n":                       "no public key",
	} {
		keys, err := jwk.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v %v, want %s", text, keys, err, want)
		}
	}
	if _, err := jwk.Secret(strings.Repeat("x", 31)); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("a short secret: %v", err)
	}
}

// FuzzParse holds that no text makes Parse panic, and that a key fits something, but never a secret's algorithms.
func FuzzParse(f *testing.F) {
	k := ec(f, elliptic.P256())
	f.Add(web(f, k, `,"kid":"k1"`))
	f.Add(`{"keys":[` + web(f, k, `,"alg":"ES256"`) + `]}`)
	f.Add(block(f, "PUBLIC KEY", &k.PublicKey))
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := jwk.Parse(text)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%v %v", keys, err)
		}
		for _, k := range keys {
			if len(k.Algorithms) == 0 || k.Shared() || k.Fits("HS256") || k.Fits("none") {
				t.Fatal(k)
			}
		}
	})
}
