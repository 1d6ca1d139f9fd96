// Package keyfile reads the files that TLS needs: certificates, their keys, the authorities of others' certificates, and keys of
// session tickets.
//
//	data, err := keyfile.Read("/etc/ssl/a.pem")
//	…
//	cert, err := keyfile.Pair(data, key)
//
// What it says of a file's content goes on behind the file's name, tells what to mend, and holds nothing of a key.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxFile bounds a file: the bundle of all public authorities has a quarter of it.
const maxFile = 1 << 20

// Read returns what a file holds. Its error is an *fs.PathError.
func Read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() { // to open a pipe would block
		err = &os.PathError{Op: "read", Path: file, Err: errors.New("it is not a file")}
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &os.PathError{Op: "read", Path: file, Err: errors.New("it is larger than a megabyte")}
	}
	return data, err
}

// Certificates returns the certificates in a file of PEM, in their order, at least one.
func Certificates(data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	others := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			others = others || isKey(block)
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a certificate that cannot be read: %w", err)
		}
		all = append(all, c)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case others:
		return nil, errKey
	case isDER(data):
		return nil, errors.New("is not PEM but DER; convert it by: openssl x509 -inform der")
	}
	return nil, errors.New("holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
}

// Key returns the first private key in a file of PEM.
func Key(data []byte) (crypto.Signer, error) {
	others := false
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !isKey(block) {
			others = others || block.Type == "CERTIFICATE"
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errors.New("holds a key with a passphrase, for which nobody can be asked; write it without one by: openssl pkey -in FILE -out FILE")
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a key that cannot be read; write it again by: openssl pkey -in FILE -out FILE")
		}
		return key, nil
	}
	switch {
	case others:
		return nil, errors.New("holds a certificate, and no key; are the two exchanged?")
	case isDER(data):
		return nil, errors.New("is not PEM but DER; convert it by: openssl pkey -inform der")
	}
	return nil, errors.New("holds no key in PEM, which begins with -----BEGIN PRIVATE KEY-----")
}

// errKey is what is said of a key where a certificate is to be.
var errKey = errors.New("holds a key, and no certificate; are the two exchanged?")

func isKey(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

func isDER(data []byte) bool { return bytes.HasPrefix(data, []byte{0x30, 0x82}) }

func parseKey(der []byte) (crypto.Signer, error) {
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if key, err = x509.ParseECPrivateKey(der); err != nil {
			key, err = x509.ParsePKCS1PrivateKey(der)
		}
	}
	signer, ok := key.(crypto.Signer)
	if err == nil && !ok {
		err = errors.New("not a key to sign with")
	}
	return signer, err
}

// Pair returns a server's certificate with its chain and its key, and with Leaf, from the content of their files, which may be one.
// The key's file is to blame for an error if the other one passes Certificates.
func Pair(cert, key []byte) (*tls.Certificate, error) {
	chain, err := Certificates(cert)
	if err != nil {
		return nil, err
	}
	signer, err := Key(key)
	if err != nil {
		return nil, err
	}
	if i := fits(chain, signer); i != 0 {
		return nil, misfit(chain, i)
	}
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot be used: %w", err)
	}
	return &c, nil
}

// fits returns which certificate is the key's, -1 for none.
func fits(chain []*x509.Certificate, key crypto.Signer) int {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	for i, c := range chain {
		if ok && public.Equal(c.PublicKey) {
			return i
		}
	}
	return -1
}

func misfit(chain []*x509.Certificate, i int) error {
	if i > 0 {
		return fmt.Errorf("fits the certificate of %s, which is number %d in its file; write the server's own first there, and then those who signed it", Name(chain[i]), i+1)
	}
	return fmt.Errorf("does not fit the certificate of %s; give the key that belongs to this certificate", Name(chain[0]))
}

// Authorities returns those who sign others' certificates, from the content of a file.
func Authorities(data []byte) (*x509.CertPool, error) {
	all, err := Certificates(data)
	switch {
	case err == errKey:
		return nil, errors.New("holds a private key; write the file with the certificates of those who sign, which begins with -----BEGIN CERTIFICATE-----")
	case err != nil:
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}

// Ticket returns the key that a file of random bytes stands for.
func Ticket(data []byte) (key [sha256.Size]byte, err error) {
	if len(data) < len(key) {
		return key, fmt.Errorf("has %d bytes, and a key is made of at least %d that nobody can guess; make one by: openssl rand -out FILE 80", len(data), len(key))
	}
	return sha256.Sum256(data), nil
}

// Name is what people call a certificate: the first name that it is for.
func Name(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return "no name"
}

// Current returns an error where a certificate does not hold now.
func Current(c *x509.Certificate, now time.Time) error {
	const form = "2006-01-02 15:04 MST"
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("has ended on %s, so clients refuse it; renew the certificate of %s", c.NotAfter.UTC().Format(form), Name(c))
	case now.Before(c.NotBefore):
		return fmt.Errorf("begins only on %s, so clients refuse it: is the clock right?", c.NotBefore.UTC().Format(form))
	}
	return nil
}
