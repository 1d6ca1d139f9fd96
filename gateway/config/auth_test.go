package config_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// publicKey returns a key of Ed25519 in PEM, and privateKey one of P-256 that must not be here.
func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privateKey(t *testing.T) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

const shared = "a-shared-secret-of-32-bytes-or-more"

func TestEverySettingOfJWTArrives(t *testing.T) {
	pub := publicKey(t)
	file, secret := secretFile(t, "jwt.pem", pub), secretFile(t, "jwt", shared+"\n")
	c, err := config.Load(write(t, fmt.Sprintf(`
clusters:
  - name: a
    auth:
      jwt:
        keys: ["file:%s"]
        secret: ["file:%s", %s-two]
        jwks: https://id.example.com/keys?x=1
        algorithms: [EdDSA, HS256, RS256]
        issuer: https://id.example.com
        audience: [chat, game]
        from: [header:Authorization, "query:token", cookie:sid, "connect:token", protocol]
        strip: false
        claims: {sub: X-User, "https://example.com/roles": X-Roles}
        leeway: 0s
        required: false
    nodes: ["http://h:1"]
  - {name: b, path: /b/, auth: {jwt: {secret: "%s"}}, nodes: ["http://h:2"]}
`, file, secret, shared, shared)), none)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.JWT{
		{
			Keys: []string{strings.TrimSuffix(pub, "\n")}, Secrets: []config.Secret{shared, shared + "-two"}, JWKS: "https://id.example.com/keys?x=1",
			Algorithms: []string{"EdDSA", "HS256", "RS256"}, Issuer: "https://id.example.com", Audience: []string{"chat", "game"},
			From:   []string{"header:Authorization", "query:token", "cookie:sid", "connect:token", "protocol"},
			Claims: []config.Claim{{Name: "sub", Header: "X-User"}, {Name: "https://example.com/roles", Header: "X-Roles"}},
		},
		{
			Secrets: []config.Secret{shared}, From: []string{"header:Authorization"}, Strip: true, Leeway: 5 * time.Second, Required: true,
		},
	}
	for i, w := range want {
		if got := c.Clusters[i].Auth.JWT; !reflect.DeepEqual(*got, w) {
			t.Errorf("got  %+v\nwant %+v", *got, w)
		}
	}
	if j := c.Clusters[0].Auth.JWT; j.Connect() != "token" || fmt.Sprint(j.Places()) != "[header:Authorization query:token cookie:sid protocol]" || len(j.From) != 5 {
		t.Errorf("connect %q, others %v, all %v", j.Connect(), j.Places(), j.From)
	}
	if j := c.Clusters[1].Auth.JWT; j.Connect() != "" || len(j.Places()) != 1 {
		t.Errorf("connect %q, others %v", j.Connect(), j.Places())
	}
	if n := len(c.Clusters[0].Auth.JWT.JWK()); n != 3 {
		t.Errorf("%d keys, want 3", n)
	}
	shown := fmt.Sprintf("%v %+v %#v", c.Clusters[0].Auth.JWT, *c.Clusters[0].Auth.JWT, *c.Clusters[0].Auth.JWT) + fmt.Sprint(c.Clusters[0].InForce())
	if strings.Contains(shown, "a-shared") || !strings.Contains(shown, "auth.jwt.secret 2") {
		t.Error(shown)
	}
}

func TestEverySettingOfForwardArrives(t *testing.T) {
	c, err := config.Load(write(t, `
clusters:
  - name: a
    auth: {forward: {url: "https://auth.example.com/verify?x=1", headers: [Origin], copy: [X-User, Authorization], timeout: 1s, cache: 0s, fail_open: true}}
    nodes: ["http://h:1"]
  - {name: b, path: /b/, auth: {forward: {url: "http://h/"}}, nodes: ["http://h:2"]}
`), none)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []config.Forward{
		{URL: "https://auth.example.com/verify?x=1", Headers: []string{"Origin"}, Copy: []string{"X-User", "Authorization"}, Timeout: time.Second, FailOpen: true},
		{URL: "http://h/", Timeout: 2 * time.Second, Cache: 5 * time.Second},
	} {
		if got := c.Clusters[i].Auth.Forward; !reflect.DeepEqual(*got, want) {
			t.Errorf("got  %+v\nwant %+v", *got, want)
		}
	}
}

func TestTheExamplesForAuthCanBeUsed(t *testing.T) {
	page, err := os.ReadFile("../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		if c, err := config.Load(write(t, text), none); err != nil || c.Clusters[0].Auth == (config.Auth{}) {
			t.Errorf("%v\n%s", err, text)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d examples", n)
	}
}

func TestWhatIsWrongWithAuth(t *testing.T) {
	private, absent := secretFile(t, "private.pem", privateKey(t)), t.TempDir()+"/none"
	if err := os.Chmod(private, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"forward: {}": "forward.url: this is missing; write the server's, as http://127.0.0.1:9000/verify",
		"forward: {url: 'http://h/'}, jwt: {secret: " + shared + "}": "forward: jwt is there too; write one of them",
		"forward: {url: 'http://u:hidden@h/'}":                       "forward.url: the URL may have no user and password",
		"forward: {url: 'http://h/', copy: [X-User, x-user]}":        "forward.copy: x-user is written twice; give each a header of its own",
		"forward: {url: 'http://h/', copy: Content-Length}":          "forward.copy: Content-Length cannot be changed: it must be the length of the body that the client sends",
		"forward: {url: 'http://h/', timeout: 0s}":                   "forward.timeout: 0s is out of range; write a duration from 10ms to 1m",
		"jwt: {}":                                                                                 "jwt: it does not say by which key tokens are signed; write keys, secret or jwks",
		"jwt: {secret: short}":                                                                    "jwt.secret: the secret is shorter than 32 bytes, so it can be guessed (RFC 7518, 3.2); make one by: openssl rand -hex 32",
		"jwt: {secret: 'file:" + absent + "'}":                                                    fmt.Sprintf("jwt.secret: %q cannot be read: no such file or directory", absent),
		"jwt: {keys: 'file:" + private + "'}":                                                     "jwt.keys: this is a private key, by which tokens can be made; sidway needs the public one, as of: openssl pkey -pubout",
		"jwt: {keys: [/etc/sidway/jwt.pem]}":                                                      `jwt.keys: "/etc/sidway/jwt.pem" is the path of a file, and not what it holds; write "file:/etc/sidway/jwt.pem"`,
		"jwt: {keys: ../jwt.pem}":                                                                 `jwt.keys: "../jwt.pem" is the path of a file, and not what it holds; write "file:../jwt.pem"`,
		"jwt: {keys: nonsense}":                                                                   "jwt.keys: there is no key; write a public key in PEM, or a JWK or a set of them in JSON",
		`jwt: {keys: '{"kty":"oct","k":"AAAA"}'}`:                                                 "jwt.keys: this is a shared secret; write it as secret, not among keys that are public",
		`jwt: {keys: '{"keys":[]}'}`:                                                              "jwt.keys: the set has no keys",
		"jwt: {secret: " + shared + ", algorithms: RS256}":                                        "jwt.algorithms: no key is for RS256; write one in keys, or take it out",
		"jwt: {secret: " + shared + ", algorithms: HS512}":                                        "jwt.algorithms: no secret is for HS512, which needs one of 64 bytes or more; write secret, or take it out",
		"jwt: {secret: " + shared + ", algorithms: none}":                                         `jwt.algorithms: "none" is unknown; write one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA`,
		"jwt: {jwks: 'id.example.com:443'}":                                                       `jwt.jwks: "id.example.com:443" has no scheme; write http://id.example.com:443`,
		"jwt: {jwks: 'https://me:hidden@id.example.com/'}":                                        "jwt.jwks: the URL may have no user and password",
		"jwt: {jwks: 'https://id.example.com/#k'}":                                                `jwt.jwks: "https://id.example.com/#k" has a #, which no server gets; take it out`,
		"jwt: {jwks: 'ftp://id.example.com/'}":                                                    `jwt.jwks: "ftp://id.example.com/" is not a URL; write it as https://id.example.com/path`,
		"jwt: {secret: " + shared + ", from: query}":                                              `jwt.from: "query" lacks the name; write query:NAME`,
		"jwt: {secret: " + shared + ", from: client}":                                             `jwt.from: "client" is unknown; write header:NAME, query:NAME, cookie:NAME, protocol or connect:NAME`,
		"jwt: {secret: " + shared + ", from: 'protocol:x'}":                                       `jwt.from: "protocol:x" is unknown; the token is an entry of Sec-WebSocket-Protocol by itself; write protocol`,
		"jwt: {secret: " + shared + ", from: connect}":                                            `jwt.from: "connect" lacks the name, which is that of a member of the auth that clients send with CONNECT; write connect:token`,
		"jwt: {secret: " + shared + ", from: ['connect:a', protocol, 'connect:b']}":               "jwt.from: connect is written twice; one member of a CONNECT's auth can be the token, so write one of them",
		"jwt: {secret: " + shared + ", from: 'query:sid'}":                                        `jwt.from: "query:sid" is a parameter of Engine.IO's own; write another, as query:token`,
		"jwt: {secret: " + shared + ", claims: {sub: X-Forwarded-User}}":                          "jwt.claims.sub: X-Forwarded-User cannot be changed: sidway writes it itself, by the client's address and trusted_proxies",
		"jwt: {secret: " + shared + ", claims: {sub: X-User, email: x-user}}":                     "jwt.claims: x-user is written twice; give each a header of its own",
		"jwt: {secret: " + shared + ", claims: {sub: X-User}}}, request_headers: {remove: x-user": "jwt.claims: X-User is in request_headers too; take one of the two out",
		"jwt: {secret: " + shared + ", leeway: 1h}":                                               `jwt.leeway: 1h is out of range; write a duration from 0s to 5m`,
	} {
		_, err := config.Load(write(t, "clusters: [{name: a, nodes: ['http://h:1'], auth: {"+text+"}}]\n"), none)
		if err == nil || !strings.HasSuffix(err.Error(), ":1: clusters[0].auth."+want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// A path without file: in front is long enough for a secret, and all who know the configuration would know it.
func TestAPathIsNoSecret(t *testing.T) {
	t.Chdir(t.TempDir())
	const name = "./a-file-with-a-name-of-more-than-32-bytes"
	load := func() error {
		_, err := config.Load(write(t, "clusters: [{name: a, nodes: ['http://h:1'], auth: {jwt: {secret: "+name+"}}}]\n"), none)
		return err
	}
	if err := load(); err != nil {
		t.Errorf("a secret that begins as a path: %v", err)
	}
	if err := os.WriteFile(name, []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(); err == nil || !strings.HasSuffix(err.Error(), `is the path of a file, and not what it holds; write "file:`+name+`"`) {
		t.Errorf("got %v", err)
	}
}
