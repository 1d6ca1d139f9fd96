package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sidway/sidway/affinity/redisurl"
)

// maxSecret bounds the file of a secret: keys for JWT are the largest, a few KiB each.
const maxSecret = 64 << 10

// inFile begins a secret that is written as the file that holds it.
const inFile = "file:"

// asSecret is a field whose value may be written as file:/run/secrets/x, which stands for what the file holds.
func (f field[T]) asSecret() field[T] {
	set := f.set
	f.set = func(t *T, text string) error {
		text, err := fromFile(text)
		if err != nil {
			return err
		}
		return set(t, text)
	}
	return f
}

// fromFile returns the secret that a text stands for: itself, or what is in the file that it names, without one line break at its
// end. Errors name the file and never show what is in it.
func fromFile(text string) (string, error) {
	path, named := strings.CutPrefix(text, inFile)
	if !named {
		return text, nil
	}
	info, err := os.Stat(path)
	switch {
	case path == "":
		return "", errors.New("the file's name is missing; write it as file:/run/secrets/name")
	case err != nil:
		return "", absent(path, err)
	case !info.Mode().IsRegular(): // to open a pipe would block
		return "", fmt.Errorf("%s is not a file; write the file that holds the secret", quote(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", absent(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", absent(path, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case secret == "":
		return "", fmt.Errorf("%s is empty; it must hold the secret", quote(path))
	case len(b) > maxSecret:
		return "", fmt.Errorf("%s has more than 64 KiB, so it hardly is a secret", quote(path))
	}
	return secret, nil
}

// parsePassword parses a password. No message shows it.
func parsePassword(text string) (string, error) {
	if text == "" {
		return "", errors.New("the password is empty; write it, or leave the key out")
	}
	return text, checkHeaderValue(text)
}

// checkPassword puts the password of Redis into its URL.
func (l *loader) checkPassword() {
	a := &l.cfg.Affinity
	if a.Password == "" || !l.clean("affinity") {
		return
	}
	if a.Redis == "" {
		l.addAt("affinity.password", "there is no Redis that it could be for; write affinity.redis too")
		return
	}
	whole, err := redisurl.WithPassword(a.Redis, a.Password)
	if err != nil {
		l.addAt("affinity.password", err.Error())
	}
	a.Redis = whole
}
