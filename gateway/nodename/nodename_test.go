package nodename_test

import (
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
