package nodename_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/nodename"
)

func TestOf(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:3001":       "10.0.0.1-3001",
		"[fd00::1]:3001":      "fd00--1-3001",
		"[::1]:3001":          "1-3001", // a name begins with a letter or digit
		"chat-0.example:3001": "chat-0.example-3001",
	} {
		if got := nodename.Of(address); got != want {
			t.Errorf("%s is called %s, want %s", address, got, want)
		}
	}
}

func TestValid(t *testing.T) {
	long := nodename.Of(strings.Repeat("a", 253) + ":65535")
	for name, want := range map[string]bool{
		"n1": true, "10.0.0.1-3001": true, "a_B.c-0": true, long: true,
		"": false, "-n1": false, ".n1": false, "n 1": false, "n\n1": false, "n\xc3\xa4": false, "a/b": false, long + "1": false,
	} {
		if nodename.Valid(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}
