package replica_test

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/replica"
)

// A binding that one process has acknowledged is known to the other at once, however fast its client is.
func TestKinKnowWhatIsBound(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	older, younger, end := replica.Kin(a, b)
	defer end()
	for n := range 1000 {
		sid, stores := "sid"+strconv.Itoa(n), []affinity.Store{older, younger}
		if err := stores[n%2].Bind(t.Context(), sid, affinity.Binding{Node: "n1", Version: 4}); err != nil {
			t.Fatal(err)
		}
		if found, err := stores[1-n%2].Lookup(t.Context(), sid); err != nil || found.Node != "n1" {
			t.Fatalf("%s: %v, %v", sid, found, err)
		}
	}
	if _, err := older.Lookup(t.Context(), "unknown"); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	end()
	if _, err := younger.Lookup(t.Context(), "unknown"); !errors.Is(err, affinity.ErrNotFound) {
		t.Errorf("alone: got %v", err)
	}
}
