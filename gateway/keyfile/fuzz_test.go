package keyfile_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"regexp"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/keyfile"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// FuzzFiles holds that what two files are read as is what crypto/tls and crypto/x509 read in them, and that no error shows anything of them
// but names of certificates.
func FuzzFiles(f *testing.F) {
	a := keyfiletest.NewAuthority(f, "test")
	one, other := a.Issue(f, keyfiletest.Request{Names: []string{"a.example.com"}}), a.Issue(f, keyfiletest.Request{Names: []string{"10.0.0.1"}})
	sec1 := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("sealed")})
	der, _ := pem.Decode(one.Cert)
	for _, pair := range [][2][]byte{
		{one.Cert, one.Key},
		{one.Key, one.Cert},
		{other.Cert, one.Key},
		{bytes.Join([][]byte{one.Cert, a.PEM}, nil), one.Key},
		{bytes.Join([][]byte{a.PEM, one.Cert}, nil), one.Key},
		{one.Cert, sec1},
		{der.Bytes, one.Key},
		{nil, nil},
		{[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		chain, err := keyfile.Certificates(cert)
		if (err == nil) != (len(chain) > 0) {
			t.Fatalf("%d certificates, %v", len(chain), err)
		}
		pool, poolErr := keyfile.Authorities(cert)
		if (poolErr == nil) != (err == nil) || pool != nil && !pool.Equal(plainPool(chain)) {
			t.Fatalf("authorities: %v, certificates: %v", poolErr, err)
		}
		pair, err := keyfile.Pair(cert, key)
		_, stdErr := tls.X509KeyPair(cert, key)
		if err == nil && (stdErr != nil || len(pair.Certificate) != len(chain) || !bytes.Equal(pair.Certificate[0], chain[0].Raw)) {
			t.Fatalf("a pair of %d certificates, crypto/tls: %v", len(pair.Certificate), stdErr)
		}
		_, keyErr := keyfile.Key(key)
		if stdErr == nil && err != nil && len(chain) > 0 && keyErr == nil && !strings.HasPrefix(err.Error(), "fits ") {
			t.Fatalf("crypto/tls takes it: %v", err)
		}
		if keyErr != nil && shows(keyErr.Error(), key) {
			t.Fatalf("the error shows the key: %v", keyErr)
		}
	})
}

func plainPool(chain []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range chain {
		p.AddCert(c)
	}
	return p
}

var words = regexp.MustCompile(`[A-Za-z0-9+/]{24,}`)

// shows reports whether a text has a word of base64 that a file has, too.
func shows(text string, file []byte) bool {
	for _, w := range words.FindAllString(text, -1) {
		if _, err := base64.RawStdEncoding.DecodeString(w); err == nil && bytes.Contains(file, []byte(w)) {
			return true
		}
	}
	return false
}
