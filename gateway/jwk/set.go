package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// webKey is a key in JSON (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2).
type webKey struct {
	Type       string   `json:"kty"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`
	ID         string   `json:"kid"`
	Curve      string   `json:"crv"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
	N          string   `json:"n"`
	E          string   `json:"e"`
	D          string   `json:"d"` // of a private key
}

// errOther says that a key is not for us, which is no mistake in a set.
var errOther = errors.New("the key is not for verifying signatures by an algorithm that is known here")

// parseJSON reads a key or a set. In a set, keys that are for something else are left out.
func parseJSON(b []byte) ([]Key, error) {
	var doc struct {
		webKey
		Keys []webKey `json:"keys"`
	}
	if json.Unmarshal(b, &doc) != nil {
		return nil, errors.New("this is not JSON of a JWK or of a set of them")
	}
	set := doc.Keys
	if set == nil {
		set = []webKey{doc.webKey}
	}
	if len(set) > mostKeys {
		return nil, fmt.Errorf("there are more than %d keys", mostKeys)
	}
	var keys []Key
	var other error
	for _, w := range set {
		k, err := w.key()
		switch {
		case err == nil:
			keys = append(keys, k)
		case errors.Is(err, errPrivate):
			return nil, err
		default: // one bad key must not take the others away
			other = err
		}
	}
	if len(keys) == 0 && other != nil {
		return nil, other
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no keys")
	}
	return keys, nil
}

// curves are the names in JSON.
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (w webKey) key() (Key, error) {
	switch {
	case w.D != "":
		return Key{}, errPrivate
	case w.Type == "oct":
		return Key{}, errors.New("this is a shared secret; write it as secret, not among keys that are public")
	case w.Use != "" && w.Use != "sig", len(w.Operations) > 0 && !slices.Contains(w.Operations, "verify"):
		return Key{}, errOther
	}
	public, err := w.public()
	if err != nil {
		return Key{}, err
	}
	k, err := of(public)
	if err != nil {
		return Key{}, err
	}
	if k.ID = w.ID; w.Algorithm != "" {
		if !k.Fits(w.Algorithm) {
			return Key{}, errOther
		}
		k.Algorithms = []string{w.Algorithm}
	}
	return k, nil
}

func (w webKey) public() (crypto.PublicKey, error) {
	broken := fmt.Errorf("a key of type %.10q has numbers that cannot be read", w.Type)
	switch w.Type {
	case "RSA":
		n, errN := decode(w.N)
		e, errE := decode(w.E)
		if errN != nil || errE != nil || len(e) > 4 || len(n) > longest/8+1 {
			return nil, broken
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case "EC":
		curve := curves[w.Curve]
		x, errX := decode(w.X)
		y, errY := decode(w.Y)
		if curve == nil {
			return nil, errOther
		}
		if size := (curve.Params().BitSize + 7) / 8; errX != nil || errY != nil || len(x) != size || len(y) != size {
			return nil, broken
		}
		k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)) // which is on the curve
		if err != nil {
			return nil, broken
		}
		return k, nil
	case "OKP":
		x, err := decode(w.X)
		if w.Curve != "Ed25519" {
			return nil, errOther
		}
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, broken
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errOther
}

func decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) == 0 {
		err = errOther
	}
	return b, err
}
