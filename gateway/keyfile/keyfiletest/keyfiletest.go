// Package keyfiletest makes certificates for tests.
package keyfiletest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	PEM  []byte
	Pool *x509.CertPool
	cert *x509.Certificate
	key  crypto.Signer
}

// Request is what a certificate is to be. What is left out is usual.
type Request struct {
	Names    []string // hosts and addresses
	From, To time.Time
	RSA      bool
}

// Issued is a certificate and its key, in PEM.
type Issued struct {
	Cert, Key []byte
	Leaf      *x509.Certificate
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key := newKey(t, false)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &Authority{key: key, Pool: x509.NewCertPool()}
	a.cert, a.PEM = sign(t, template, template, key.Public(), key)
	a.Pool.AddCert(a.cert)
	return a
}

// Issue makes a certificate, for servers and clients, and its key.
func (a *Authority) Issue(t testing.TB, r Request) Issued {
	t.Helper()
	if r.From.IsZero() {
		r.From = time.Now().Add(-time.Hour)
	}
	if r.To.IsZero() {
		r.To = time.Now().AddDate(0, 2, 0)
	}
	key := newKey(t, r.RSA)
	template := &x509.Certificate{
		SerialNumber: serial(t), NotBefore: r.From, NotAfter: r.To, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range r.Names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	i := Issued{Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	i.Leaf, i.Cert = sign(t, template, a.cert, key.Public(), a.key)
	return i
}

// Write writes the files name.pem and name.key, and returns their paths.
func (i Issued) Write(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	return File(t, dir, name+".pem", i.Cert), File(t, dir, name+".key", i.Key)
}

// TLS returns what crypto/tls takes.
func (i Issued) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(i.Cert, i.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// File writes a file of several parts, or replaces it at once, and returns its path.
func File(t testing.TB, dir, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	err := os.WriteFile(path+"~", bytes.Join(parts, nil), 0o600)
	if err := errors.Join(err, os.Rename(path+"~", path)); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB, isRSA bool) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if isRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) (*x509.Certificate, []byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
