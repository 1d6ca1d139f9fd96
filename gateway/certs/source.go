package certs

import (
	"crypto/sha256"
	"errors"
	"strconv"

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

// look reads the files again. It reports whether value has changed, or that they have been bad for two looks, once.
func (s *source[T]) look() (changed bool, err error) {
	data, held, err := s.read()
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
