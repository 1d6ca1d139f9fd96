package replica_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/replica"
)

// A server that fails and works by turns is told of once in a while, and never that it works where it was not told that it fails.
func TestAuthThatFailsByTurnsIsToldOnce(t *testing.T) {
	var log lockedBuffer
	r, err := replica.New(settings(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tell := replica.TellAuth(r, "chat")
	for range 20 {
		tell(errors.New("connection refused"))
		tell(nil)
	}
	if said := log.String(); strings.Count(said, "msg=fails") != 1 || strings.Count(said, "msg=works") != 1 {
		t.Error(said)
	}
}
