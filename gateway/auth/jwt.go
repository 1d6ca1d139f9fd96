package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/gateway/jwk"
)

const (
	// longestToken bounds what is decoded.
	longestToken = 16 << 10
	// mostTried bounds the keys that a token without kid is verified by.
	mostTried = 8
	// latest is the last second that a token's end is taken for one: 9999-12-31.
	latest = 253402300799
)

// Claim is a claim of the token that nodes get as a header.
type Claim struct{ Name, Header string }

// JWTOptions are what a JWT gate is made of.
type JWTOptions struct {
	Keys       []jwk.Key
	JWKS       string   // URL of more keys; empty: there are none
	Algorithms []string // that are taken; none: all that the keys fit
	Issuer     string   // iss must be this; empty: it may be any
	Audience   []string // aud must have one of these; none: it may be any
	Leeway     time.Duration
	Claims     []Claim
	Required   bool // a client without a token is not let in
	// OnFault is told once that the keys at JWKS cannot be had, and with nil that they can again. It may be nil.
	OnFault func(error)
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// JWT is a Gate by JSON Web Tokens (RFC 7519) that are signed (RFC 7515). A token is taken if its algorithm fits a key that it may
// name by kid, and is one of those that are allowed; "none" never is.
type JWT struct {
	o         JWTOptions
	parser    *jwt.Parser
	validator *jwt.Validator
	set       *set // nil: there is no JWKS
	turns     *turns
}

// NewJWT returns a gate. With a JWKS it begins to fetch the keys.
func NewJWT(o JWTOptions) *JWT {
	if o.Now == nil {
		o.Now = time.Now
	}
	rules := []jwt.ParserOption{jwt.WithLeeway(o.Leeway), jwt.WithTimeFunc(o.Now)}
	if o.Issuer != "" {
		rules = append(rules, jwt.WithIssuer(o.Issuer))
	}
	if len(o.Audience) > 0 {
		rules = append(rules, jwt.WithAudience(o.Audience...))
	}
	g := &JWT{o: o, parser: jwt.NewParser(jwt.WithJSONNumber()), validator: jwt.NewValidator(rules...), turns: newTurns(halfOfProcessors())}
	if o.JWKS != "" {
		g.set = newSet(o.JWKS, o.OnFault)
	}
	return g
}

// Close implements Gate.
func (g *JWT) Close() {
	if g.set != nil {
		g.set.close()
	}
}

// Fault implements Gate. It has keys that could not be fetched looked for again, so that what it tells is not old where no client comes.
func (g *JWT) Fault() (*Fault, bool) {
	if g.set == nil {
		return nil, false
	}
	known := len(*g.set.load()) + len(g.o.Keys)
	return g.set.last.with(known > 0), true
}

// Judge implements Gate. Claims come first: they cost less than a signature, and clients whose tokens are over come back again and
// again. By a shared secret the verdict is there at once, since that takes microseconds; other signatures are verified later.
func (g *JWT) Judge(a *Ask) (Verdict, func() Verdict) {
	switch {
	case a.Token == "" && g.o.Required:
		return Verdict{Outcome: Missing}, nil
	case a.Token == "":
		return Verdict{}, nil
	case len(a.Token) > longestToken:
		return Verdict{Outcome: Signature}, nil
	}
	claims := jwt.MapClaims{}
	t, parts, err := g.parser.ParseUnverified(a.Token, claims)
	if err != nil || t.Header["crit"] != nil { // it must be understood, and nothing of it is (RFC 7515, 4.1.11)
		return Verdict{Outcome: Signature}, nil
	}
	signature, err := g.parser.DecodeSegment(parts[2])
	if err != nil || g.repeats(parts[0], t.Header) || g.repeats(parts[1], claims) {
		return Verdict{Outcome: Signature}, nil
	}
	v := g.judgeClaims(claims)
	if v.Outcome != Granted {
		return v, nil
	}
	kid, _ := t.Header["kid"].(string)
	known := g.find(kid, t.Method.Alg())
	if len(known.keys) == 0 {
		return g.unsigned(kid, known), nil
	}
	signed := a.Token[:len(parts[0])+1+len(parts[1])]
	verify := func() Verdict {
		for _, k := range known.keys {
			if t.Method.Verify(signed, signature, k.Material) == nil {
				return v
			}
		}
		return g.unsigned(kid, known)
	}
	if known.keys[0].Shared() {
		return verify(), nil
	}
	return g.later(verify)
}

// repeats reports whether a part of a token has a name twice, of which another reader could take the other value (RFC 7515, 4, and RFC
// 7519, 4). The part has been read into an object before, without an error.
func (g *JWT) repeats(part string, read map[string]any) bool {
	text, _ := g.parser.DecodeSegment(part)
	members, depth, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ':' && depth == 1:
			members++
		}
	}
	return members != len(read)
}

// later has verify run when it is its turn.
func (g *JWT) later(verify func() Verdict) (Verdict, func() Verdict) {
	if !g.turns.enter() {
		return Verdict{Outcome: Unreachable, Why: "too many tokens wait to be verified"}, nil
	}
	return Verdict{}, func() Verdict {
		g.turns.free <- struct{}{}
		defer func() { <-g.turns.free; g.turns.leave() }()
		return verify()
	}
}

// candidates are the keys that a token may be signed by.
type candidates struct {
	keys  []jwk.Key
	final bool       // no other can be, whatever is fetched
	set   *[]jwk.Key // that was looked through; nil: there is none
}

func (g *JWT) find(kid, algorithm string) (c candidates) {
	if len(g.o.Algorithms) > 0 && !slices.Contains(g.o.Algorithms, algorithm) {
		c.final = true
		return c
	}
	named := func(k jwk.Key) bool { return kid != "" && k.ID == kid }
	c.keys, c.final = fitting(g.o.Keys, kid, algorithm), slices.ContainsFunc(g.o.Keys, named)
	if g.set != nil {
		c.set = g.set.load()
		c.keys = append(c.keys, fitting(*c.set, kid, algorithm)...)
		c.final = c.final || slices.ContainsFunc(*c.set, named)
	}
	c.final = c.final || kid == "" && len(c.keys) > 0
	return c
}

// unsigned is the verdict on a token that none of the candidates has signed.
func (g *JWT) unsigned(kid string, c candidates) Verdict {
	switch {
	case c.set != nil && !c.final && g.set.coming(kid, c.set):
		return Verdict{Outcome: Unreachable, Why: "the key may be on its way: no key of auth.jwt.jwks that is known fits, and they are fetched again"}
	case len(c.keys) > 0 || c.final || kid == "":
		return Verdict{Outcome: Signature}
	}
	return Verdict{Outcome: Kid}
}

// fitting returns the keys that have this kid and fit the algorithm. A key without kid may be any, and so may the key of a token
// without.
func fitting(keys []jwk.Key, kid, algorithm string) (fit []jwk.Key) {
	for _, k := range keys {
		if (k.ID == kid || k.ID == "" || kid == "") && k.Fits(algorithm) && len(fit) < mostTried {
			fit = append(fit, k)
		}
	}
	return fit
}

// judgeClaims says what becomes of a token if its signature is right.
func (g *JWT) judgeClaims(claims jwt.MapClaims) (v Verdict) {
	if err := g.validator.Validate(claims); err != nil {
		return Verdict{Outcome: g.fault(claims, err)}
	}
	if end, _ := claims.GetExpirationTime(); end != nil {
		v.Ends = min(end.Unix()+int64(g.o.Leeway/time.Second), latest)
	}
	for _, c := range g.o.Claims {
		value, ok := text(claims[c.Name])
		if !ok {
			return Verdict{Outcome: Claims}
		}
		if value != "" {
			v.Fields = append(v.Fields, Field{c.Header, value})
		}
	}
	return v
}

// fault says what is wrong with claims that are not valid.
func (g *JWT) fault(claims jwt.MapClaims, err error) Outcome {
	missing := errors.Is(err, jwt.ErrTokenRequiredClaimMissing)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Expired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return Early
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), missing && g.o.Issuer != "" && claims["iss"] == nil:
		return Issuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience), missing:
		return Audience
	}
	return Claims
}

// text returns a claim as a header has it: text (in UTF-8) and numbers as they are, lists and objects as JSON in ASCII, nothing for none. What a reader
// of the header would take for another text is none: ok is false.
func text(claim any) (s string, ok bool) {
	switch c := claim.(type) {
	case nil:
		return "", true
	case string:
		s = c
	case json.Number:
		s = c.String()
	default:
		b, err := json.Marshal(c)
		if err != nil {
			return "", false
		}
		s = asASCII(b)
	}
	return s, s == strings.TrimSpace(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// asASCII returns JSON with escapes for all that is not ASCII, so that whoever takes a header's bytes for ISO 8859-1, as Node.js does, reads
// the same.
func asASCII(text []byte) string {
	var b strings.Builder
	for _, c := range string(text) {
		switch {
		case c < 0x80:
			b.WriteByte(byte(c))
		case c > 0xffff:
			first, second := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, first, second)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}
