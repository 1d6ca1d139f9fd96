package api

import (
	"fmt"
	"slices"
	"strings"
)

// This file finds why sessions come to no WebSocket.

// chosen is why sessions poll where others upgrade and nothing is wrong that can be seen here.
const chosen = "others come to WebSockets, so the transports of these clients name polling alone, or a proxy on their side lets no WebSocket through"

// WhyPolling says why sessions of a cluster come to no WebSocket, as far as that is known, and what to mend, and whether their clients seem to
// want it so.
func (s *Status) WhyPolling(c *Cluster) (why string, wanted bool) {
	why = s.whyPolling(c)
	return why, why == chosen
}

func (s *Status) whyPolling(c *Cluster) string {
	stripped := slices.ContainsFunc(s.Faults, func(v Fault) bool { return v.Cluster == c.Name && v.Reason == "upgrade" })
	unanswered, deaf := c.unanswered()
	unoffered := c.unoffered()
	switch made, refused := c.Upgrades.Made, c.Upgrades.Refused; {
	case unoffered != "":
		return unoffered
	case s.has(c.Name, "mute_websockets"):
		return "their WebSockets open, and something in front swallows the frames"
	case stripped && made == 0, s.has(c.Name, "upgrade"):
		return "a proxy in front strips Upgrade from requests for a WebSocket; have it pass Upgrade and Connection on (docs/behind.md)"
	case unanswered >= fewestUnanswered && 2*unanswered >= c.Old.Polling:
		return fmt.Sprintf("%s were sent to %s and none was answered: does a proxy or a firewall between sidway and the nodes swallow them? It has to pass Upgrade and Connection on", count(unanswered, "upgrade"), deaf)
	case made+refused == 0:
		return "the nodes offer a WebSocket and nobody asks for one; the clients' transports name polling alone, or a proxy in front answers such requests itself"
	case refused > made:
		return "the nodes refuse upgrades; see their allowUpgrades and transports, and whether they know the sessions"
	}
	if c.allPoll() > 0 {
		return "does a proxy let no WebSocket through, or do the nodes offer or allow no upgrade?"
	}
	return chosen
}

// unoffered names the nodes that offer no WebSocket, and says what to mend; "" where they have no more than half of the sessions that poll here.
func (c *Cluster) unoffered() string {
	var names []string
	there, all := 0, 0
	for i := range c.Nodes {
		v := &c.Nodes[i]
		if all += v.Polling; v.NoUpgrade {
			there += v.Polling
			names = append(names, v.Name)
		}
	}
	switch {
	case 2*there <= all:
		return ""
	case len(names) == len(c.Nodes):
		return "the nodes offer no WebSocket; see their transports and allowUpgrades"
	case len(names) == 1:
		return names[0] + " offers no WebSocket; see its transports and allowUpgrades"
	}
	return strings.Join(names, ", ") + " offer no WebSocket; see their transports and allowUpgrades"
}

// unanswered returns how many upgrades nodes were sent and did not answer, and which nodes.
func (c *Cluster) unanswered() (n int, nodes string) {
	var names []string
	for i := range c.Nodes {
		if v := &c.Nodes[i]; v.Unanswered > 0 {
			n += int(v.Unanswered)
			names = append(names, v.Name)
		}
	}
	if len(names) == len(c.Nodes) {
		return n, "nodes"
	}
	return n, strings.Join(names, ", ")
}

// allPoll returns how many sessions all replicas have, if there are several, all of them poll, and those do that are known to be old here:
// which session is old may be known at another replica.
func (c *Cluster) allPoll() (n int) {
	for i := range c.Nodes {
		if v := &c.Nodes[i]; v.Total > v.Polls {
			return 0
		}
		n += c.Nodes[i].Total
	}
	if n < fewestOld || c.Old.All == 0 || c.Old.Polling < c.Old.All {
		return 0
	}
	return n
}
