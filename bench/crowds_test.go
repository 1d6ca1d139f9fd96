//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// through sends a crowd through a proxy, sidway made from the sources around or another one by its name.
func through(t *testing.T, proxy string, job crowd.Job) *crowd.Result {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), exe: exe}
	if err := os.Chmod(b.dir, 0o755); err != nil { // nginx's workers are not root, even where the test is
		t.Fatal(err)
	}
	all := rival.All(filepath.Join(b.dir, "sidway"))
	r := all[slices.IndexFunc(all, func(r rival.Rival) bool { return r.Name == proxy })]
	if r.Family == rival.Sidway {
		if err := b.build(t.Context(), r.Program); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.sample(t.Context(), &r, crowded("test", "test", job))
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report.Line(crowded("test", "test", job), s))
	return s.Crowd
}

// TestStorm has nodes that are busy for twice as long as sidway waits for a handshake by default. Each client gets its
// session by its first handshake, and no node gets more of them than another. By nginx's hash nodes are not even.
func TestStorm(t *testing.T) {
	for _, proxy := range []string{rival.Sidway, "haproxy-2", "nginx-2"} {
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			const clients = 60
			r := through(t, proxy, crowd.Job{
				Kind: crowd.Storm, Clients: clients, Seconds: 60, Work: 5 * time.Second * crowdNodes / clients,
			})
			if r.Back != clients || len(r.Errors) > 0 {
				t.Errorf("%d of %d clients are back, with errors %v", r.Back, clients, r.Errors)
			}
			sum := 0
			for _, n := range r.Handshakes {
				sum += n
			}
			if sum != clients {
				t.Errorf("%d handshakes at the nodes for %d clients", sum, clients)
			}
			if least, most := slices.Min(r.Handshakes), slices.Max(r.Handshakes); proxy != "nginx-2" && most*10 > least*11 {
				t.Errorf("nodes have %v handshakes", r.Handshakes)
			}
		})
	}
}

// TestFloods has one address that wants more connections than sidway takes: live sessions go on.
func TestFloods(t *testing.T) {
	for _, kind := range []string{crowd.Idle, crowd.HalfClosed} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := through(t, rival.Sidway, crowd.Job{Kind: kind, Clients: 10, Flood: 40, Seconds: 4, Limit: 40})
			if r.Attempts < 10 {
				t.Errorf("the attacker made %d connections", r.Attempts)
			}
			if r.LostKept+r.LostFresh > 0 || len(r.Errors) > 0 || r.Back != 10 {
				t.Errorf("%d and %d live sessions were lost, by %v", r.LostKept, r.LostFresh, r.Errors)
			}
			if r.Messages == 0 {
				t.Error("nobody sent a message")
			}
		})
	}
}
