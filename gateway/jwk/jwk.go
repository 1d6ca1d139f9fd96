// Package jwk reads the keys by which tokens are verified: PEM, JSON Web Keys (RFC 7517) and sets of them, and shared secrets.
//
//	keys, err := jwk.Parse(text)         // of PEM, of a key in JSON, or of a set
//	secret, err := jwk.Secret(text)      // for HS256 and its like
//	ok := keys[0].Fits("RS256")
//
// It fetches nothing and verifies nothing. A key fits only the algorithms that are made for it, so that no token can choose another
// use of a key than its own (RFC 8725, 3.1).
package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Key is one key, with the algorithms that it is for.
type Key struct {
	ID         string // kid, empty where it has none
	Algorithms []string
	Material   any // what the algorithm's verification takes: a public key, or the bytes of a secret. Never print it.
}

// String shows nothing of the key itself.
func (k Key) String() string { return fmt.Sprintf("%s %v", k.ID, k.Algorithms) }

// Fits reports whether the key is for an algorithm.
func (k Key) Fits(algorithm string) bool { return slices.Contains(k.Algorithms, algorithm) }

// Shared reports whether the key is a secret, by which tokens can be made too.
func (k Key) Shared() bool { _, ok := k.Material.([]byte); return ok }

// Algorithms are all that a key can be for, as RFC 7518 and RFC 8037 name them. "none" is not among them.
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

var (
	rsaAlgorithms    = Algorithms[3:9]
	secretAlgorithms = Algorithms[:3]
	curveAlgorithms  = map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}
)

const (
	shortestSecret       = 32 // bytes: a key for HS256 is as long as its hash (RFC 7518, 3.2)
	shortestRSA, longest = 2048, 8192
	mostKeys             = 100
)

// errPrivate is what is said of a key that must not be here.
var errPrivate = errors.New("this is a private key, by which tokens can be made; sidway needs the public one, as of: openssl pkey -pubout")

// Secret is the key of a secret that whoever makes the tokens has too.
func Secret(text string) (Key, error) {
	if len(text) < shortestSecret {
		return Key{}, fmt.Errorf("the secret is shorter than %d bytes, so it can be guessed (RFC 7518, 3.2); make one by: openssl rand -hex 32", shortestSecret)
	}
	fits := secretAlgorithms
	switch {
	case len(text) < 48:
		fits = fits[:1]
	case len(text) < 64:
		fits = fits[:2]
	}
	return Key{Algorithms: fits, Material: []byte(text)}, nil
}

// Parse reads one or more public keys: blocks of PEM with public keys or certificates, or JSON of a key or a set. The error shows
// nothing of the text.
func Parse(text string) ([]Key, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return parseJSON([]byte(text))
	}
	var keys []Key
	for rest := []byte(text); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		k, err := of(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	switch {
	case len(keys) == 0:
		return nil, errors.New("there is no key; write a public key in PEM, or a JWK or a set of them in JSON")
	case len(keys) > mostKeys:
		return nil, fmt.Errorf("there are more than %d keys", mostKeys)
	}
	return keys, nil
}

func parseBlock(b *pem.Block) (any, error) {
	switch {
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		return nil, errPrivate
	case b.Type == "CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, errors.New("the certificate cannot be read")
		}
		return c.PublicKey, nil
	case b.Type == "RSA PUBLIC KEY":
		if k, err := x509.ParsePKCS1PublicKey(b.Bytes); err == nil {
			return k, nil
		}
	case b.Type == "PUBLIC KEY":
		if k, err := x509.ParsePKIXPublicKey(b.Bytes); err == nil {
			return k, nil
		}
	}
	return nil, errors.New("a block of PEM is no public key and no certificate")
}

// of is the key of a public key.
func of(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < shortestRSA || n > longest {
			return Key{}, fmt.Errorf("an RSA key has %d bits; %d to %d are taken", n, shortestRSA, longest)
		}
		if k.E < 3 || k.E%2 == 0 {
			return Key{}, errors.New("an RSA key has an exponent that none may have")
		}
		return Key{Algorithms: rsaAlgorithms, Material: k}, nil
	case *ecdsa.PublicKey:
		if a := curveAlgorithms[k.Curve]; a != "" {
			return Key{Algorithms: []string{a}, Material: k}, nil
		}
	case ed25519.PublicKey:
		return Key{Algorithms: []string{"EdDSA"}, Material: k}, nil
	}
	return Key{}, errors.New("a key is of a kind that no algorithm is for; RSA, P-256, P-384, P-521 and Ed25519 are")
}
