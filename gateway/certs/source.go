package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile"
)

// source is files that make a T together. It is told from what they hold whether they have changed: by times, sizes and inodes one
// misses changes within the clock's grain, and finds some that are none.
type source[T any] struct {
	files []string
	parse func(data [][]byte) (T, error) // its error names the file

	value  T     // what they held when they were good
	err    error // why what they hold now is not taken; nil: it is
	held   digest
	failed digest // what was found bad; it is told when it is found again, since programs replace one file after the other
}

type digest [sha256.Size]byte

// first reads the files for the first time.
func (s *source[T]) first() (err error) {
	data, held, err := s.read()
	if err == nil {
		s.held = held
		s.value, err = s.parse(data)
	}
	return err
}

// judge takes what read has found. It reports whether value has changed, or that files have been bad for two looks, once.
func (s *source[T]) judge(data [][]byte, held digest, err error) (changed bool, bad error) {
	if err == nil && held == s.held {
		s.err, s.failed = nil, digest{}
		return false, nil
	}
	var value T
	if err == nil {
		value, err = s.parse(data)
	}
	switch {
	case err == nil:
		s.value, s.held, s.err, s.failed = value, held, nil, digest{}
		return true, nil
	case held != s.failed:
		s.failed = held
		return false, nil
	case s.err == nil || s.err.Error() != err.Error():
		s.err = err
		return false, err
	}
	return false, nil
}

// read returns what the files hold, and what tells it from everything else: also an error from another.
func (s *source[T]) read() (all [][]byte, held digest, err error) {
	sum := sha256.New()
	for _, f := range s.files {
		data, failed := keyfile.Read(f)
		if failed != nil {
			err = errors.Join(err, failed)
			data = []byte(failed.Error())
		}
		sum.Write([]byte(strconv.Itoa(len(data)) + " "))
		sum.Write(data)
		all = append(all, data)
	}
	sum.Sum(held[:0])
	return all, held, err
}

// newPair is the files of a certificate.
func newPair(files config.Certificate) *source[*tls.Certificate] {
	p := &source[*tls.Certificate]{files: []string{files.Cert, files.Key}}
	p.parse = func(data [][]byte) (*tls.Certificate, error) {
		if _, err := keyfile.Certificates(data[0]); err != nil {
			return nil, inFile(files.Cert, err)
		}
		cert, err := keyfile.Pair(data[0], data[1])
		if err != nil {
			return nil, inFile(files.Key, err)
		}
		if err := keyfile.Current(cert.Leaf, time.Now()); err != nil && p.value != nil && keyfile.Current(p.value.Leaf, time.Now()) == nil {
			return nil, inFile(files.Cert, err) // one that holds is not given up for one that does not
		}
		return cert, nil
	}
	return p
}

// newAuthorities is a file of those who sign clients' certificates.
func newAuthorities(file string) *source[*x509.CertPool] {
	return &source[*x509.CertPool]{files: []string{file}, parse: func(data [][]byte) (*x509.CertPool, error) {
		pool, err := keyfile.Authorities(data[0])
		if err != nil {
			return nil, inFile(file, err)
		}
		return pool, nil
	}}
}

func inFile(file string, err error) error { return fmt.Errorf("%q %w", file, err) }
