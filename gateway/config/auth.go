package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/jwk"
)

// Auth says who may have a session. At most one of the two is set; neither: anybody may.
type Auth struct {
	JWT     *JWT
	Forward *Forward
}

// Secret is a text that no message, log or page may show.
type Secret string

// String shows nothing of it.
func (Secret) String() string { return "secret" }

// GoString does so for %#v.
func (Secret) GoString() string { return "secret" }

// JWT lets in whoever brings a token that is signed by one of the keys.
type JWT struct {
	Keys       []string // each as jwk.Parse takes it
	Secrets    []Secret
	JWKS       string   // URL; empty: none
	Algorithms []string // none: all that the keys fit
	Issuer     string
	Audience   []string
	From       []string // header:NAME, query:NAME, cookie:NAME, protocol or, once, connect:NAME
	Strip      bool     // tokens are taken out of the query and of Sec-WebSocket-Protocol
	Claims     []Claim
	Leeway     time.Duration
	Required   bool
}

// Claim is a claim of a token that nodes get as a header.
type Claim struct{ Name, Header string }

var jwtFields = []field[JWT]{
	many("keys", func(j *JWT) *[]string { return &j.Keys }, parseKeys).asSecret().
		withSample("[]", "public keys, in PEM or as a JWK or JWKS, as [file:/etc/sidway/jwt.pem]").
		withShow(func(j *JWT) string { return counted(len(j.Keys)) }),
	many("secret", func(j *JWT) *[]Secret { return &j.Secrets }, parseShared).asSecret().
		withSample("output-of-openssl-rand-hex-32", "for HS256 and its like, 32 bytes or more: file:/run/secrets/jwt, or a list").
		withShow(func(j *JWT) string { return counted(len(j.Secrets)) }),
	one("jwks", func(j *JWT) *string { return &j.JWKS }, parseKeysURL).
		withSample("https://id.example.com/.well-known/jwks.json", "a URL with more keys, fetched again every 10m and for a kid that is unknown"),
	many("algorithms", func(j *JWT) *[]string { return &j.Algorithms }, oneOf(jwk.Algorithms...)).
		withSample("[HS256, RS256, ES256, EdDSA]", "that are taken; left out, all that fit the keys; none never is"),
	one("issuer", func(j *JWT) *string { return &j.Issuer }, parseClaimText).withSample("https://id.example.com", "that iss must name"),
	many("audience", func(j *JWT) *[]string { return &j.Audience }, parseClaimText).withSample("chat", "one of these must be in aud"),
	many("from", func(j *JWT) *[]string { return &j.From }, parseTokenPlace).withDefault("header:Authorization", "or query:NAME, cookie:NAME, header:NAME, protocol, connect:NAME; of a list, each in quotes, the first that has one counts"),
	one("strip", func(j *JWT) *bool { return &j.Strip }, parseBool).withDefault("true", "nodes get no token in the query and in Sec-WebSocket-Protocol"),
	pairs("claims", (*reader).claim, func(j *JWT) []InForce { return j.claims() }, func(j *JWT) any { return j.Claims }).
		withSample("{sub: X-User}", "that nodes get as headers; clients' own of these names never reach a node"),
	one("leeway", func(j *JWT) *time.Duration { return &j.Leeway }, between(0, 5*time.Minute)).withDefault("5s", "that clocks may differ; sessions end so long after exp"),
	one("required", func(j *JWT) *bool { return &j.Required }, parseBool).withDefault("true", "false lets in clients without a token, but none with a bad one"),
}

func counted(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func parseKeys(text string) (string, error) {
	_, err := jwk.Parse(text)
	if err != nil && isPath(text) {
		err = asFile(text)
	}
	return text, err
}

// isPath reports whether a text can only be meant as the path of a file: no PEM and no JSON begins so.
func isPath(text string) bool {
	return !strings.Contains(text, "\n") && (strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../"))
}

func asFile(path string) error {
	return fmt.Errorf("%s is the path of a file, and not what it holds; write %s", quote(path), quote(inFile+path))
}

func parseShared(text string) (Secret, error) {
	_, err := jwk.Secret(text)
	if isPath(text) { // a secret may begin so as well, but hardly be the name of what is there
		if _, absent := os.Stat(text); absent == nil {
			err = asFile(text)
		}
	}
	return Secret(text), err
}

// parseKeysURL parses where keys, or a verdict, are asked for. No message shows it while it may hold a password.
func parseKeysURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return "", errors.New("the URL may have no user and password")
	case isAddress(text):
		return "", fmt.Errorf("%s has no scheme; write http://%s", quote(text), text)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || !isHost(u.Hostname()) || u.Port() != "" && !isAddress(u.Host):
		return "", fmt.Errorf("%s is not a URL; write it as https://id.example.com/path", quote(text))
	case u.Fragment != "":
		return "", fmt.Errorf("%s has a #, which no server gets; take it out", quote(text))
	}
	return text, nil
}

func parseClaimText(text string) (string, error) {
	if text == "" {
		return "", errors.New("the text is empty; write what the claim must be, or leave the key out")
	}
	return text, checkHeaderValue(text)
}

// inConnect is the kind of the place that a token has in a CONNECT of Socket.IO: connect:NAME.
const inConnect = "connect"

// Connect returns the member of a CONNECT's auth that is a token, "" where From does not look there.
func (j *JWT) Connect() string {
	for _, place := range j.From {
		if kind, name, _ := strings.Cut(place, ":"); kind == inConnect {
			return name
		}
	}
	return ""
}

// Places returns those of From that a request has.
func (j *JWT) Places() []string {
	return slices.DeleteFunc(slices.Clone(j.From), func(place string) bool { return strings.HasPrefix(place, inConnect+":") })
}

// parseTokenPlace parses where a token stands.
func parseTokenPlace(text string) (string, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch _, err := parseHashBy(text); {
	case text == "protocol":
		return text, nil
	case kind == "protocol":
		return "", fmt.Errorf("%s is unknown; the token is an entry of Sec-WebSocket-Protocol by itself; write protocol", quote(text))
	case kind == inConnect && name == "":
		return "", fmt.Errorf("%s lacks the name, which is that of a member of the auth that clients send with CONNECT; write connect:token", quote(text))
	case kind == inConnect:
		return text, nil
	case !slices.Contains([]string{"query", "header", "cookie"}, kind):
		return "", fmt.Errorf("%s is unknown; write header:NAME, query:NAME, cookie:NAME, protocol or connect:NAME", quote(text))
	case err != nil:
		return "", err
	case kind == "query" && slices.Contains([]string{"EIO", "transport", "sid", "t", "j", "b64"}, name):
		return "", fmt.Errorf("%s is a parameter of Engine.IO's own; write another, as query:token", quote(text))
	}
	return text, nil
}

// claim reads a claim with the header that it becomes.
func (r *reader) claim(j *JWT, p pair) {
	text, err := r.text(p.value)
	if err == nil {
		_, err = parseHeaderName(text)
	}
	if err != nil {
		r.add(p.path, r.place(p.value), err.Error())
		return
	}
	j.Claims = append(j.Claims, Claim{p.key, text})
}

func (j *JWT) claims() (all []InForce) {
	for _, c := range j.Claims {
		all = append(all, InForce{c.Name, c.Header})
	}
	return all
}

// checkAuth finds what is only wrong beside something else.
func (l *loader) checkAuth(c *Cluster, base string) {
	if !l.clean(base) {
		return
	}
	if c.Auth.JWT != nil && c.Auth.Forward != nil {
		l.addAt(base+".forward", "jwt is there too; write one of them")
		return
	}
	if f := c.Auth.Forward; f != nil {
		l.require(base+".forward.url", "write the server's, as http://127.0.0.1:9000/verify")
		l.checkOwned(c, f.Copy, base+".forward.copy")
	}
	if j := c.Auth.JWT; j != nil {
		l.checkJWT(j, base+".jwt")
		var names []string
		for _, claim := range j.Claims {
			names = append(names, claim.Header)
		}
		l.checkOwned(c, names, base+".jwt.claims")
	}
}

func (l *loader) checkJWT(j *JWT, base string) {
	if len(j.From)-len(j.Places()) > 1 {
		l.addAt(base+".from", "connect is written twice; one member of a CONNECT's auth can be the token, so write one of them")
	}
	if len(j.Keys)+len(j.Secrets) == 0 && j.JWKS == "" {
		l.addAt(base, "it does not say by which key tokens are signed; write keys, secret or jwks")
		return
	}
	fits := func(algorithm string) bool {
		for _, k := range j.JWK() {
			if k.Fits(algorithm) {
				return true
			}
		}
		return j.JWKS != "" && !strings.HasPrefix(algorithm, "HS")
	}
	for _, a := range j.Algorithms {
		switch {
		case fits(a):
		case strings.HasPrefix(a, "HS"):
			l.addAt(base+".algorithms", fmt.Sprintf("no secret is for %s, which needs one of %s bytes or more; write secret, or take it out", a, map[string]string{"HS256": "32", "HS384": "48", "HS512": "64"}[a]))
		default:
			l.addAt(base+".algorithms", fmt.Sprintf("no key is for %s; write one in keys, or take it out", a))
		}
	}
}

// checkOwned refuses a header that the gate gives to nodes and that something else is to change as well.
func (l *loader) checkOwned(c *Cluster, names []string, key string) {
	seen := map[string]bool{}
	for _, name := range names {
		lower := strings.ToLower(name)
		others := slices.ContainsFunc(c.Headers.Set, func(h Header) bool { return strings.EqualFold(h.Name, name) }) ||
			slices.ContainsFunc(c.Headers.Remove, func(h string) bool { return strings.EqualFold(h, name) })
		switch {
		case seen[lower]:
			l.addAt(key, name+" is written twice; give each a header of its own")
		case others:
			l.addAt(key, name+" is in request_headers too; take one of the two out")
		}
		seen[lower] = true
	}
}

// JWK returns the keys and secrets.
func (j *JWT) JWK() (keys []jwk.Key) {
	for _, text := range j.Keys {
		some, _ := jwk.Parse(text) // which has been checked
		keys = append(keys, some...)
	}
	for _, text := range j.Secrets {
		if k, err := jwk.Secret(string(text)); err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// Forward lets in whom a server does.
type Forward struct {
	URL            string
	Headers        []string // of the request that the server gets, beside Authorization and Cookie
	Copy           []string // of the server's answer that nodes get
	Timeout, Cache time.Duration
	FailOpen       bool // let in whom the server cannot be asked about
}

var forwardFields = []field[Forward]{
	one("url", func(f *Forward) *string { return &f.URL }, parseKeysURL).isRequired().withSample("http://127.0.0.1:9000/verify", "asked by GET: 2xx lets in, 401 and 403 do not"),
	many("headers", func(f *Forward) *[]string { return &f.Headers }, parseHeaderName).
		withSample("[Origin]", "of the request that it gets too, beside Authorization, Cookie and X-Forwarded-Method, -Uri, -Host, -Proto, -For"),
	many("copy", func(f *Forward) *[]string { return &f.Copy }, parseHeaderName).
		withSample("[X-User]", "of its answer that nodes get; clients' own of these names never reach a node"),
	one("timeout", func(f *Forward) *time.Duration { return &f.Timeout }, between(10*time.Millisecond, time.Minute)).
		withDefault("2s", "for its answer, and for the turn to ask it"),
	one("cache", func(f *Forward) *time.Duration { return &f.Cache }, between(0, time.Hour)).
		withDefault("5s", "for which its answer holds for the same credentials and client; 0s for none"),
	one("fail_open", func(f *Forward) *bool { return &f.FailOpen }, parseBool).withDefault("false", "let in whom it cannot be asked about; else they get 503"),
}
