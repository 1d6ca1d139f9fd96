package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/api"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// well is a status with which nothing is wrong.
func well() api.Status {
	node := func(name string) api.Node {
		return api.Node{Name: name, Healthy: true, Sessions: 600, Total: 1200}
	}
	return api.Status{
		At: noon, Store: api.Store{Kind: "redis", Up: true},
		Replicas: []api.Peer{{Name: "r1", Self: true, Limit: 1000, Version: "v1"}, {Name: "r2", Heard: 0.4, Limit: 1000, Version: "v1"}},
		Clusters: []api.Cluster{{
			Name: "chat", Nodes: []api.Node{node("n1"), node("n2")}, Old: api.Old{All: 1200, Polling: 30},
			Responses: map[string]uint64{"no_node": 7, "sid_unknown": 9},
		}},
	}
}

func TestProblems(t *testing.T) {
	later := noon.Add(time.Minute)
	for name, tt := range map[string]struct {
		change   func(s *api.Status)
		first    bool   // there is no earlier status
		problems string // each with its level
		headline string
	}{
		"none":  {func(*api.Status) {}, false, "", "All is well: 2,400 sessions on 2 nodes"},
		"redis": {func(s *api.Status) { s.Store = api.Store{Error: "WRONGPASS"} }, false, "bad Redis cannot be used: WRONGPASS", "Redis cannot be used: WRONGPASS"},
		"redis, and more": {func(s *api.Status) {
			s.Store, s.Replicas[1].Heard, s.Clusters[0].Waiting = api.Store{Error: "user is disabled."}, 12, 1
		}, false, "bad Redis cannot be used: user is disabled.; warn Waiting for the pace of the nodes of chat: 1 handshake; more clients come at once than these may get", "Redis cannot be used: user is disabled (and 1 more problem)"},
		"replica silent": {func(s *api.Status) { s.Replicas[1].Heard = 12.2 }, false, "warn Replica r2 has not been heard for 12 s: it died, or does not reach Redis, or is refused there", ""},
		"replicas deaf": {func(s *api.Status) {
			s.Replicas[1].Heard, s.Store.Deaf = 12.2, true
			s.Faults = []api.Fault{{Reason: "redis_rights", Text: "Redis refuses this replica HSET: NOPERM", Last: noon}}
		}, false, "warn Redis refuses this replica HSET: NOPERM", ""},
		"replica stops": {func(s *api.Status) { s.Replicas[1].Stopping = true }, false, "info Replica r2 stops", "All is well: 2,400 sessions on 2 nodes"},
		"versions":      {func(s *api.Status) { s.Replicas[1].Version = "v2" }, false, "info Replicas have 2 different versions", ""},
		"nearly full":   {func(s *api.Status) { s.Replicas[0].Connections = 950 }, false, "warn Replica r1 is nearly full: it has 950 connections, and new clients are turned away from 1,000 on; that is its limits.connections", ""},
		"full":          {func(s *api.Status) { s.Replicas[0].Connections = 1052 }, false, "bad Replica r1 is full: new clients are turned away from 1,000 connections on, and it has 1,052; that is its limits.connections", ""},
		"full by descriptors": {func(s *api.Status) {
			r := &s.Replicas[1]
			r.Connections, r.Limit, r.Descriptors = 152, 87, 450
		}, false, "bad Replica r2 is full: new clients are turned away from 87 connections on, and it has 152; that is what its limit of 450 descriptors (ulimit -n, LimitNOFILE) allows: raise it and start the replica anew", ""},
		"redis by turns":       {func(s *api.Status) { s.Store.Fell, s.Store.Last = 3, "redis is slow" }, false, "warn Redis cannot be used again and again, 3 times in the last minute: redis is slow. Sessions that begin meanwhile are known to their replica alone", "Redis cannot be used again and again, 3 times in the last minute: redis is slow. Sessions that begin meanwhile are known to their replica alone"},
		"redis once":           {func(s *api.Status) { s.Store.Fell, s.Store.Last = 1, "redis is slow" }, false, "", ""},
		"Redis says so itself": {func(s *api.Status) { s.Store = api.Store{Error: "Redis refuses this replica: mend it"} }, false, "bad Redis refuses this replica: mend it", "Redis refuses this replica: mend it"},
		"certificate late": {func(s *api.Status) {
			s.Certificates = []api.Certificate{{Name: "a.example.com", Ends: noon.AddDate(0, 0, 13), Late: true}, {Name: "b.example.com", Ends: noon.AddDate(0, 0, 13)}}
		}, false, "warn The certificate of a.example.com ends in 13 days, on 2026-12-11: does nobody renew it?", ""},
		"no certificate": {func(s *api.Status) {
			s.Certificates = []api.Certificate{{Name: "a.example.com", Error: "no answer"}, {Name: "b.example.com"}}
		}, false, "bad There is no certificate of a.example.com yet: no answer; info There is no certificate of b.example.com yet: it is being obtained", "There is no certificate of a.example.com yet: no answer"},
		"certificate ended": {func(s *api.Status) {
			s.Certificates = []api.Certificate{{Name: "a.example.com", Ends: noon, Late: true, Error: "no such file"}}
		}, false, "bad The certificate of a.example.com has ended on 2026-11-28: clients refuse it; warn The certificate of a.example.com is not renewed: no such file", ""},
		"unhealthy": {func(s *api.Status) {
			s.Clusters[0].Nodes[1].Healthy, s.Clusters[0].Nodes[1].Probe = false, &api.Probe{Reason: "status 500"}
		}, false, "bad n2 of chat is unhealthy: status 500", "n2 of chat is unhealthy: status 500"},
		"all ejected": {func(s *api.Status) {
			s.Clusters[0].Nodes[0].Ejected, s.Clusters[0].Nodes[1].Ejected, s.Clusters[0].Nodes[1].Why = true, true, "silent"
		}, false, "bad No node of chat takes new sessions: 2 ejected; bad n1 of chat is ejected: requests of clients failed there; the next client tries it again; bad n2 of chat is ejected: it answers nothing; the next client tries it again", "No node of chat takes new sessions: 2 ejected (and 2 more problems)"},
		"none takes sessions": {func(s *api.Status) {
			n := s.Clusters[0].Nodes
			n[0].Weight, n[1].Healthy = 2, false
			s.Clusters[0].Nodes = append(n, api.Node{Name: "n3", Healthy: true, Draining: true, Ejected: true}, api.Node{Name: "n4", Healthy: true, Ejected: true, Why: "silent"})
		}, true, "bad No node of chat takes new sessions: 1 drained, 1 of weight 0%, 1 unhealthy, 1 ejected; bad n2 of chat is unhealthy; bad n3 of chat is ejected: requests of clients failed there; the next client tries it again; bad n4 of chat is ejected: it answers nothing; the next client tries it again", ""},
		"no nodes":   {func(s *api.Status) { s.Clusters[0].Nodes = nil }, true, "bad No node of chat takes new sessions: there is none", ""},
		"no release": {released("v3", "10%"), true, "warn No node of chat with version: v3 takes new sessions, so the others get its 10%: there is none", ""},
		"sick release": {func(s *api.Status) {
			released("v2", "10%")(s)
			s.Clusters[0].Nodes[1].Ejected = true
		}, true, "bad n2 of chat is ejected: requests of clients failed there; the next client tries it again; warn No node of chat with version: v2 takes new sessions, so the others get its 10%: 1 ejected", ""},
		"only release": {func(s *api.Status) {
			released("v2", "10%")(s)
			s.Clusters[0].Nodes[0].Draining = true
		}, true, "warn Only the nodes of chat with version: v2 take new sessions, so they get more than 10%; the others: 1 drained", ""},
		"release of all":  {released("v2", "100%"), true, "", ""},
		"release of none": {released("v3", "0%"), true, "", ""},
		"cut off": {func(s *api.Status) {
			s.Replicas[1].Heard = 12
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "cut_off_replica", Subject: "r2", Text: "a replica lives: see it", Last: noon}}
		}, true, "warn A replica lives (r2 of chat): see it", ""},
		"panic": {func(s *api.Status) {
			c := &s.Clusters[0]
			c.Panic, c.Nodes[0].Healthy, c.Nodes[1].Draining, c.Nodes[1].Drain = true, false, true, &api.Drain{}
		}, false, "bad All nodes of chat fail their probes, so these are not believed: is it the page that is broken?; bad n1 of chat is unhealthy; info n2 of chat has been draining without a deadline: 1,200 sessions stay until their clients leave. To end them: sidway drain n2 --deadline 5m; to move them: the setting sessions.move", ""},
		"panic with a reason": {func(s *api.Status) {
			c := &s.Clusters[0]
			c.Panic = true
			for i := range c.Nodes {
				c.Nodes[i].Healthy, c.Nodes[i].Probe = false, &api.Probe{Reason: "answered 400; why?"}
			}
		}, false, "bad All nodes of chat fail their probes (n1: answered 400; why?), so these are not believed: is it the page that is broken?; bad n1 of chat is unhealthy: answered 400; why?; bad n2 of chat is unhealthy: answered 400; why?", ""},
		"drain ahead":         {drained(api.Drain{Deadline: &later}), false, "info n2 of chat is being drained: 1,200 sessions left, ended from 12:01:00 UTC on", ""},
		"drain goes on":       {drained(api.Drain{Deadline: &noon, Rate: 50}), false, "info n2 of chat is being drained: 1,200 sessions left, 50 a second end", ""},
		"drain without moves": {drained(api.Drain{Deadline: &later, MovesAgain: &later}), false, "info n2 of chat is being drained: 1,200 sessions left, ended from 12:01:00 UTC on; none is moved before 12:01:00 UTC: see moves_fail", ""},
		"drain with moves":    {drained(api.Drain{Deadline: &later, MovesAgain: &noon}), false, "info n2 of chat is being drained: 1,200 sessions left, ended from 12:01:00 UTC on", ""},
		"node taken away": {func(s *api.Status) {
			s.Clusters[0].Removed = []api.Gone{{Name: "n3", Since: noon}, {Name: "n4"}}
		}, false, "info The configuration has n3 of chat, and it is not used: an operator has taken it away on 2026-11-28 12:00:00 UTC. To have it back, put it by the API (docs/api.md); info The configuration has n4 of chat, and it is not used: an operator has taken it away. To have it back, put it by the API (docs/api.md)", "All is well: 2,400 sessions on 2 nodes"},
		"untried": {func(s *api.Status) { s.Clusters[0].Nodes[0].Untried = true }, false, "", "All is well: 2,400 sessions on 2 nodes; 1 of them untried: neither a client nor a probe has asked them yet"},
		"ejected long ago": {func(s *api.Status) {
			n := &s.Clusters[0].Nodes[1]
			n.Ejected, n.Why, n.Tried = true, "refused", noon.Add(-50*time.Second)
		}, true, "bad n2 of chat is ejected: it accepts no connection (tried last at 11:59:10 UTC, 50 s ago); the next client tries it again", ""},
		"drain of nobody": {drained(api.Drain{Since: noon.Add(-61 * time.Second)}), false, "info n2 of chat has been draining for 1 min without a deadline: 1,200 sessions stay until their clients leave. To end them: sidway drain n2 --deadline 5m; to move them: the setting sessions.move", "All is well: 2,400 sessions on 2 nodes, 1 of them draining"},
		"drain of some": {func(s *api.Status) {
			drained(api.Drain{Since: noon.Add(-9 * time.Second)})(s)
			s.Clusters[0].Moves = map[string]uint64{"moved": 3, "lost": 0}
		}, false, "info n2 of chat has been draining for 9 s without a deadline: 1,200 sessions stay until their clients leave. To end them: sidway drain n2 --deadline 5m", ""},
		"drain stuck":   {drained(api.Drain{Deadline: &noon}), false, "warn The drain of n2 of chat does not end: no other node takes its 1,200 sessions", ""},
		"drain in vain": {drained(api.Drain{Since: noon.Add(-15 * time.Minute)}), false, "warn n2 of chat is drained for 15 min, and 1,200 sessions do not leave: give the drain a deadline, as sidway drain n2 --deadline 5m", ""},
		"drain done": {func(s *api.Status) {
			drained(api.Drain{})(s)
			s.Clusters[0].Nodes[1].Total = 0
		}, false, "info n2 of chat is drained, and empty", ""},
		"polling alone": {func(s *api.Status) { s.Clusters[0].Old.Polling = 300 }, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: the nodes offer a WebSocket and nobody asks for one; the clients' transports name polling alone, or a proxy in front answers such requests itself", ""},
		"none offered": {func(s *api.Status) {
			unoffered(&s.Clusters[0], 1, 1)
			s.Clusters[0].Upgrades.Made = 1
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: the nodes offer no WebSocket; see their transports and allowUpgrades", ""},
		"none offered by one": {func(s *api.Status) {
			unoffered(&s.Clusters[0], 100, 200)
			s.Clusters[0].Nodes[0].NoUpgrade, s.Clusters[0].Upgrades.Made = false, 900
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "no_websocket", Subject: "n2", Text: "it offers none: see it", Last: noon}}
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: n2 offers no WebSocket; see its transports and allowUpgrades", ""},
		"none offered by one of those that poll": {func(s *api.Status) {
			unoffered(&s.Clusters[0], 200, 100)
			s.Clusters[0].Nodes[0].NoUpgrade, s.Clusters[0].Upgrades.Made = false, 900
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "no_websocket", Subject: "n2", Text: "it offers none: see it", Last: noon}}
		}, true, "warn It offers none (n2 of chat): see it; info 300 of 1,200 sessions of chat at this replica poll after half a minute: others come to WebSockets, so the transports of these clients name polling alone, or a proxy on their side lets no WebSocket through", ""},
		"stripped": {func(s *api.Status) {
			s.Clusters[0].Old.Polling = 300
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "upgrade", Text: "no Upgrade", Last: noon}}
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: a proxy in front strips Upgrade from requests for a WebSocket; have it pass Upgrade and Connection on (docs/behind.md)", ""},
		"stripped now": {func(s *api.Status) {
			s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades.Made = 300, 14
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "upgrade", Text: "no Upgrade", Last: noon}}
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: a proxy in front strips Upgrade from requests for a WebSocket; have it pass Upgrade and Connection on (docs/behind.md)", ""},
		"swallowed": {func(s *api.Status) {
			s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades.Made = 300, 14
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "mute_websockets", Text: "nothing comes: see it", Last: noon}}
		}, true, "warn Nothing comes (chat): see it; warn 300 of 1,200 sessions of chat at this replica poll after half a minute: their WebSockets open, and something in front swallows the frames", ""},
		"causes lead": {func(s *api.Status) {
			s.Clusters[0].Old.Polling = 300
			s.Faults = []api.Fault{
				{Cluster: "chat", Reason: "proxy_timeout", Subject: "n1", Text: "a proxy ends them", Last: noon},
				{Cluster: "chat", Reason: "node_timeout", Subject: "n3", Text: "a node ends them", Last: noon}, // since it waits for what comes to r2
				{Cluster: "chat", Reason: "node_cuts", Subject: "n2", Text: "it cuts", Last: noon.Add(-time.Second)},
				{Cluster: "chat", Reason: "node_list", Subject: "r2", Text: "they differ: n3 is not at r2", Last: noon.Add(-20 * time.Second)},
			}
		}, true, "warn They differ (chat, last seen 20 s ago): n3 is not at r2; warn It cuts (n2 of chat); warn 300 of 1,200 sessions of chat at this replica poll after half a minute: the nodes offer a WebSocket and nobody asks for one; the clients' transports name polling alone, or a proxy in front answers such requests itself; warn A proxy ends them (n1 of chat)", ""},
		"polls given up": {func(s *api.Status) {
			answered("sid_unknown", 300, 0)(s)
			s.Faults = []api.Fault{
				{Cluster: "chat", Reason: "balanced_node", Subject: "n1", Text: "several", Last: noon},
				{Cluster: "chat", Reason: "forgetful_node", Subject: "n2", Text: "it forgets", Last: noon},
				{Cluster: "chat", Reason: "proxy_timeout", Subject: "polls", Text: "polls are given up", Last: noon},
			}
		}, true, "warn Polls are given up (chat); warn Several (n1 of chat); warn It forgets (n2 of chat)", ""},
		"pongs missed": {func(s *api.Status) {
			answered("sid_unknown", 300, 0)(s)
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "missed_pongs", Subject: "n1", Text: "pongs come too late: is it too short?", Last: noon}}
		}, true, "warn Pongs come too late (n1 of chat): is it too short?", ""},
		"upgrades refused": {func(s *api.Status) {
			s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades = 300, api.Made{Made: 1, Refused: 30}
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: the nodes refuse upgrades; see their allowUpgrades and transports, and whether they know the sessions", ""},
		"upgrades unanswered": {func(s *api.Status) {
			s.Clusters[0].Old.Polling = 300
			s.Clusters[0].Nodes[0].Unanswered, s.Clusters[0].Nodes[1].Unanswered = 120, 80
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: 200 upgrades were sent to nodes and none was answered: does a proxy or a firewall between sidway and the nodes swallow them? It has to pass Upgrade and Connection on", ""},
		"upgrades unanswered by one": {func(s *api.Status) {
			s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades.Made, s.Clusters[0].Nodes[1].Unanswered = 300, 900, 320
		}, true, "warn 300 of 1,200 sessions of chat at this replica poll after half a minute: 320 upgrades were sent to n2 and none was answered: does a proxy or a firewall between sidway and the nodes swallow them? It has to pass Upgrade and Connection on", ""},
		"short sessions": {func(s *api.Status) {
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "short_sessions", Subject: "n1", Text: "most end, 20 of 30: does it?", Last: noon}}
		}, false, "warn Most end, 20 of 30 (n1 of chat): does it?", ""},
		"short sessions for a reason": {func(s *api.Status) {
			s.Faults = []api.Fault{
				{Cluster: "chat", Reason: "node_errors", Subject: "n1", Text: "errors: see its log", Last: noon},
				{Cluster: "chat", Reason: "short_sessions", Subject: "n1", Text: "most end, 20 of 30: does it?", Last: noon},
			}
		}, false, "warn Errors (n1 of chat): see its log", ""},
		"few upgrades unanswered": {func(s *api.Status) {
			s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades.Made, s.Clusters[0].Nodes[1].Unanswered = 300, 900, 20
		}, true, "info 300 of 1,200 sessions of chat at this replica poll after half a minute: others come to WebSockets, so the transports of these clients name polling alone, or a proxy on their side lets no WebSocket through", ""},
		"polling":     {func(s *api.Status) { s.Clusters[0].Old.Polling, s.Clusters[0].Upgrades.Made = 300, 9 }, true, "info 300 of 1,200 sessions of chat at this replica poll after half a minute: others come to WebSockets, so the transports of these clients name polling alone, or a proxy on their side lets no WebSocket through", "All is well: 2,400 sessions on 2 nodes"},
		"server away": {unauthorized(api.Auth{Asks: "forward"}), true, "bad The server of auth.forward of chat cannot be asked, and clients get no session (last tried on 2026-11-28 11:59:00 UTC): connection refused", "The server of auth.forward of chat cannot be asked, and clients get no session (last tried on 2026-11-28 11:59:00 UTC): connection refused"},
		"fail open":   {unauthorized(api.Auth{Asks: "forward", LetsIn: true}), true, "warn The server of auth.forward of chat cannot be asked, and clients are let in unasked (last tried on 2026-11-28 11:59:00 UTC): connection refused", ""},
		"no keys":     {unauthorized(api.Auth{Asks: "jwks"}), true, "bad The keys of auth.jwt.jwks of chat cannot be fetched, and clients get no session (last tried on 2026-11-28 11:59:00 UTC): connection refused", ""},
		"old keys":    {unauthorized(api.Auth{Asks: "jwks", LetsIn: true}), true, "warn The keys of auth.jwt.jwks of chat cannot be fetched, and those that are known stay in use, while tokens by a new one get 503 (last tried on 2026-11-28 11:59:00 UTC): connection refused", ""},
		"authorized":  {unauthorized(api.Auth{Asks: "jwks", Up: true}), true, "", ""},
		"few polling": {func(s *api.Status) { s.Clusters[0].Old = api.Old{All: 10, Polling: 9} }, false, "", ""},
		"waiting":     {func(s *api.Status) { s.Clusters[0].Waiting = 1 }, false, "warn Waiting for the pace of the nodes of chat: 1 handshake; more clients come at once than these may get", ""},
		"no node":     {answered("no_node", 3, 100), true, "bad In the last minute 3 requests of chat got no node", ""},
		"long ago":    {func(s *api.Status) { s.Clusters[0].Responses["no_node"] += 3 }, false, "", ""},
		"unknown":     {strangers(65, 60, 40), true, "warn In the last minute 65 requests of chat named 60 sessions that neither this replica nor Redis knows; 40 sessions began here meanwhile. Does another replica serve clients, and cannot use Redis? It is then missing among the replicas here: see its own status", ""},
		"few unknown": {strangers(65, 60, 200), true, "", ""},
		"many stale":  {strangers(351, 13, 0), true, "info In the last minute 351 requests of chat named sessions that have ended, the same ones again and again: their clients do not heed the 400 that they get", ""},
		"stale":       {strangers(65, 3, 4), true, "info In the last minute 65 requests of chat named sessions that have ended, the same ones again and again: their clients do not heed the 400 that they get", ""},
		"unknown for a reason": {func(s *api.Status) {
			answered("sid_unknown", 300, 0)(s)
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "balanced_node", Subject: "n1", Text: "several", Last: noon}}
		}, true, "warn Several (n1 of chat)", ""},
		"cache full": {func(s *api.Status) {
			answered("sid_unknown", 300, 0)(s)
			s.Faults = []api.Fault{
				{Cluster: "chat", Reason: "one_stranger", Subject: "192.0.2.1", Text: "one client names many", Last: noon},
				{Cluster: "chat", Reason: "store", Text: "do all share one Redis?", Last: noon},
				{Cluster: "chat", Reason: "cache_full", Text: "the cache is full: raise it", Last: noon},
			}
		}, true, "warn The cache is full (chat): raise it", ""},
		"forbidden": {answered("forbidden", 30, 29), true, "bad In the last minute 30 requests of chat were refused by auth or origins, more than came to a session: the log says why", ""},
		"some are":  {answered("forbidden", 30, 30), true, "", ""},
		"few are":   {answered("forbidden", 9, 0), true, "", ""},
		"no http":   {foreign("bad_head", 472), true, "bad In the last minute 472 requests were no HTTP, more than came to a session: does something in front speak TLS, HTTP/2 or the PROXY protocol here?", ""},
		"plain":     {foreign("plain_http", 10), true, "bad In the last minute 10 connections spoke plain HTTP to a listener with tls, more than came to a session: does a balancer in front end TLS? Then it needs one without", ""},
		"tls":       {foreign("tls_failed", 10), true, "bad In the last minute 10 TLS handshakes of clients failed, more than came to a session: do they trust the certificate, and does it name the host? The log says why", ""},
		"no proxy":  {foreign("no_proxy_header", 10), true, "bad In the last minute 10 connections did not begin with a header of the PROXY protocol, more than came to a session: is send-proxy-v2 or the like set at the balancer?", ""},
		"untrusted": {foreign("untrusted_proxy", 10), true, "bad In the last minute 10 connections to a listener with proxy_protocol came from none of trusted_proxies, more than came to a session: is a balancer's address missing there? The log has one", ""},
		"scanners": {func(s *api.Status) {
			answered("", 0, 20)(s)
			foreign("bad_head", 20)(s)
		}, true, "", ""},
		"bad reload":  {func(s *api.Status) { s.Replica.ReloadError = "sidway.yaml:3: listn" }, true, "warn The settings that were read last are bad, and those before them in force: sidway.yaml:3: listn", ""},
		"source away": {func(s *api.Status) { s.Clusters[0].NodesError = "no such host" }, true, "warn Nodes of chat cannot be looked for, and those that are known stay: no such host", ""},
		"refusals":    {func(s *api.Status) { s.Clusters[0].Upgrades.Refused = 12 }, false, "warn The nodes of chat refuse most upgrades: 12 of 12", ""},
		"errors":      {func(s *api.Status) { s.Clusters[0].Nodes[0].Errors = 8 }, false, "warn n1 of chat fails requests: 8 within 10 s", ""},
		"storm": {func(s *api.Status) {
			s.Clusters[0].Storm = &api.Storm{Last: noon.Add(-9 * time.Second), Begun: 1040, Peak: 240, Ended: 1000, ByClients: 1000}
			s.Clusters[0].Nodes[1].Healthy = false
		}, true, "bad A storm at chat: 1,040 sessions began, up to 240 within one second, and clients are still coming back; all 1,000 WebSockets that ended were closed by the clients' side: look at the proxy or the network in front of sidway; bad n2 of chat is unhealthy", ""},
		"storm over":        {storm(1000, 900, 100), true, "warn A storm at chat: 1,040 sessions began, up to 240 within one second, and it ended 40 s ago; 900 of the 1,000 WebSockets that ended were closed by the clients' side: look at the proxy or the network in front of sidway", ""},
		"storm of a node":   {storm(1000, 0, 1000), true, "warn A storm at chat: 1,040 sessions began, up to 240 within one second, and it ended 40 s ago; all 1,000 WebSockets that ended were closed by the nodes' side: were nodes started anew, or do they disconnect their clients?", ""},
		"storm of both":     {storm(1000, 500, 200), true, "warn A storm at chat: 1,040 sessions began, up to 240 within one second, and it ended 40 s ago; of the 1,000 WebSockets that ended, 500 were closed by the clients' side, 200 by the nodes' side", ""},
		"storm from others": {storm(1, 1, 0), true, "warn A storm at chat: 1,040 sessions began, up to 240 within one second, and it ended 40 s ago; only 1 WebSocket ended here, so these clients polled, come from another replica, or are new", ""},
		"ejected still": {func(s *api.Status) {
			n := &s.Clusters[0].Nodes[1]
			n.Ejected, n.Why, n.Since, n.Retry, n.Probe = true, "silent", noon.Add(-time.Minute), noon.Add(6*time.Second), &api.Probe{At: noon.Add(-time.Second)}
		}, true, "bad n2 of chat is ejected: it answers nothing, though it answers probes; no new sessions for 6.0 s more", ""},
		"not ready": {func(s *api.Status) { s.Replicas[1].Unready = "no node was found" }, true, "warn Replica r2 is alive but not ready, so balancers that ask /readyz send it no clients: no node was found", ""},
		"not ready without Redis": {func(s *api.Status) {
			s.Store, s.Replicas[0].Unready = api.Store{Error: "WRONGPASS"}, "affinity.redis: WRONGPASS"
		}, true, "bad Redis cannot be used: WRONGPASS; warn Replica r1 is alive but not ready, so balancers that ask /readyz send it no clients: it cannot use Redis", ""},
		"all poll": {func(s *api.Status) { s.Clusters[0].Old = api.Old{All: 8, Polling: 8} }, true, "warn 8 of 8 sessions of chat at this replica poll after half a minute: the nodes offer a WebSocket and nobody asks for one; the clients' transports name polling alone, or a proxy in front answers such requests itself", ""},
		"all poll, and few are old": {func(s *api.Status) {
			c := &s.Clusters[0]
			c.Old = api.Old{All: 1, Polling: 1}
			for i := range c.Nodes {
				c.Nodes[i].Polls = c.Nodes[i].Total
			}
		}, true, "warn All 2,400 sessions of chat poll: the nodes offer a WebSocket and nobody asks for one; the clients' transports name polling alone, or a proxy in front answers such requests itself", ""},
		"fault": {func(s *api.Status) {
			s.Faults = []api.Fault{{Cluster: "chat", Reason: "slow_node", Subject: "n1", Text: "it is slow: is it busy?", Last: noon.Add(-time.Second)}, {Cluster: "chat", Text: "long ago", Last: noon.Add(-time.Hour)}}
		}, false, "warn It is slow (n1 of chat): is it busy?", "It is slow (n1 of chat): is it busy?"},
		"fault that was": {func(s *api.Status) {
			s.Faults = []api.Fault{{Text: "unknown host: does a proxy pass Host on?", Last: noon.Add(-70 * time.Second)}}
		}, false, "warn Unknown host (last seen 1 min ago): does a proxy pass Host on?", ""},
		"fault of none": {func(s *api.Status) { s.Faults = []api.Fault{{Subject: "a.example", Text: "unknown host", Last: noon}} }, false, "warn Unknown host (a.example)", ""},
		"fault of all":  {func(s *api.Status) { s.Faults = []api.Fault{{Cluster: "chat", Text: "no Upgrade", Last: noon}} }, false, "warn No Upgrade (chat)", ""},
	} {
		s, before := well(), well()
		before.At = noon.Add(-10 * time.Second)
		tt.change(&s)
		if tt.first {
			s.Judge(nil)
		} else {
			s.Judge(&before)
		}
		var all []string
		for _, p := range s.Problems {
			all = append(all, p.Level+" "+p.Text)
		}
		if got := strings.Join(all, "; "); got != tt.problems {
			t.Errorf("%s:\n%s, want\n%s", name, got, tt.problems)
		}
		if tt.headline != "" && s.Headline != tt.headline {
			t.Errorf("%s: headline %q, want %q", name, s.Headline, tt.headline)
		}
	}
}

// unauthorized returns what has the cluster's clients let in by a.
func unauthorized(a api.Auth) func(*api.Status) {
	return func(s *api.Status) {
		if !a.Up {
			a.Failed, a.Error = noon.Add(-time.Minute), "connection refused"
		}
		s.Clusters[0].Auth = &a
	}
}

// answered returns what has the replica have answered so many requests itself in the last minute, and made so many sessions.
func answered(reason string, n, made uint64) func(*api.Status) {
	return func(s *api.Status) {
		s.Clusters[0].Recent = api.Recent{Made: made, Responses: map[string]uint64{reason: n}}
	}
}

// strangers returns what has so many requests of the last minute name so many sids that nobody knows, while so many sessions began.
func strangers(requests, sids, made uint64) func(*api.Status) {
	return func(s *api.Status) {
		answered("sid_unknown", requests, made)(s)
		s.Clusters[0].Recent.Strangers = sids
	}
}

// foreign returns what has so much come in the last minute that was no request.
func foreign(reason string, n uint64) func(*api.Status) {
	return func(s *api.Status) { s.Replica.Recent = map[string]uint64{reason: n} }
}

// storm returns what has had a storm, with so many WebSockets that ended.
func storm(ended, byClients, byNodes uint64) func(*api.Status) {
	return func(s *api.Status) {
		s.Clusters[0].Storm = &api.Storm{Last: noon.Add(-40 * time.Second), Begun: 1040, Peak: 240, Ended: ended, ByClients: byClients, ByNodes: byNodes}
	}
}

// unoffered gives a cluster 300 sessions that poll, and says how many at which of its nodes, which offer no WebSocket.
func unoffered(c *api.Cluster, polling ...int) {
	c.Old.Polling = 300
	for i, n := range polling {
		c.Nodes[i].Polling, c.Nodes[i].NoUpgrade = n, true
	}
}

// released returns what gives a share of the sessions to a version; n2 is of v2.
func released(version, share string) func(*api.Status) {
	return func(s *api.Status) {
		s.Clusters[0].Nodes[1].Labels = map[string]string{"version": "v2"}
		s.Clusters[0].Release = &api.Release{Label: "version", Value: version, Share: share}
	}
}

// drained returns what has n2 drain.
func drained(d api.Drain) func(*api.Status) {
	return func(s *api.Status) {
		n := &s.Clusters[0].Nodes[1]
		n.Draining, n.Drain = true, &d
	}
}
