package e2e_test

import (
	"testing"

	"github.com/sidway/sidway/bench/checker/planted"
)

// Ledgers that find nothing prove nothing, unless they find what is planted.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, c := range []struct {
		bug  string
		mode string
		flaw string // the kind that must be found; none if empty
	}{
		{"none", "polling", ""},
		{"none", "upgrade", ""},
		{"none", "websocket", ""},
		{"POST sent again", "polling", "doubled"},
		{"POST dropped", "polling", "lost"},
		{"POST overtaken", "polling", "reordered"},
		{"POST changed", "polling", "corrupt"},
		{"poll sent again", "polling", "lost"},
		{"two polls' answers swapped", "polling", "reordered"},
		{"a poll's answer given twice", "polling", "doubled"},
		{"a poll failed", "polling", "disconnect"},
		{"a handshake refused", "polling", "connect_error"},
		{"a direct connect refused", "websocket", "connect_error"},
		{"upgrades refused", "upgrade", "not upgraded"},
		{"client's frame dropped", "websocket", "lost"},
		{"client's frame twice", "websocket", "doubled"},
		{"client's frames swapped", "websocket", "reordered"},
		{"node's frame dropped", "websocket", "lost"},
		{"node's frame twice", "websocket", "doubled"},
		{"node's frames swapped", "websocket", "reordered"},
	} {
		t.Run(c.bug+" in "+c.mode, func(t *testing.T) {
			t.Parallel()
			bug, err := planted.Named(c.bug)
			if err != nil {
				t.Fatal(err)
			}
			n := startNode(t, node48, "n1", pings{})
			g, err := planted.Start(planted.Plan{Nodes: []string{n.address()}, Bug: bug, Up: "echo", Down: "push"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Close() })
			driver := startClients(t, plan{URL: "http://" + g.Address(), Library: 4, Modes: map[string]int{c.mode: 3}, Window: 3, Stall: 2500})
			found := driver.exchange(t, 30).flaws([]stats{n.stats(t)})
			if c.flaw == "" {
				found.check(t)
			} else if len(found[c.flaw]) == 0 {
				t.Errorf("planted %q was not found as %q, but as:\n%v", c.bug, c.flaw, found)
			}
			driver.leave(t)
		})
	}
}
