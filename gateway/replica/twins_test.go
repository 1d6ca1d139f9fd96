package replica_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/engineio/engineiotest"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/replica"
)

// Two nodes are twins where an address of one is an address of the other, and the port is the same.
func TestTwins(t *testing.T) {
	look := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		switch host {
		case "localhost":
			return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}, nil
		case "a.internal":
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		case "alone.internal":
			t.Error("a name is looked up whose port no other node has")
		}
		return nil, errors.New("no such host")
	}
	for urls, want := range map[string]string{
		"http://127.0.0.1:3001 http://localhost:3001":                            "n1 and n2 at 127.0.0.1:3001",
		"http://127.0.0.1:3001 http://localhost:3002":                            "",
		"http://127.0.0.1:3001 http://alone.internal:3002":                       "",
		"http://[::ffff:10.0.0.1]:80 http://a.internal:80 https://a.internal:80": "n1 and n2 at 10.0.0.1:80, n1 and n3 at 10.0.0.1:80",
		"http://unknown:80 http://unknown2:80":                                   "",
		"http://[::1]:80 http://localhost:80 http://127.0.0.1:80":                "n1 and n2 at [::1]:80, n2 and n3 at 127.0.0.1:80",
	} {
		var nodes []config.Node
		for i, url := range strings.Fields(urls) {
			nodes = append(nodes, config.Node{Name: fmt.Sprint("n", i+1), URL: url})
		}
		if got := strings.Join(replica.Twins(t.Context(), nodes, look), ", "); got != want {
			t.Errorf("%s: %q, want %q", urls, got, want)
		}
	}
}

// A process that is two nodes by two spellings is told by the log and by status.
func TestTwinsAreTold(t *testing.T) {
	n := engineiotest.Start(t, engineiotest.Options{})
	cfg := settings(n)
	first := cfg.Clusters[0].Nodes[0]
	other := config.Node{Name: "twin", URL: strings.Replace(first.URL, "127.0.0.1", "localhost", 1), Weight: 1}
	cfg.Clusters[0].Nodes = append(cfg.Clusters[0].Nodes, other)
	var log lockedBuffer
	r := startLogged(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	affinitytest.Eventually(t, "it is told", func() bool {
		return strings.Contains(log.String(), "two nodes are one process: "+first.Name+" and twin both lead to ")
	})
	if f := r.Status().Faults; len(f) != 1 || f[0].Reason != "twin_nodes" || f[0].Subject != first.Name+" and twin" {
		t.Errorf("remembered: %+v", f)
	}
}
