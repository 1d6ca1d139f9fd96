package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// plan configures a driver of client sessions; see testdata/client.mjs for what its fields do.
type plan struct {
	URL          string         `json:"url"`
	Library      int            `json:"library"`          // 4, or 2 for clients of Engine.IO 3
	Client       string         `json:"client,omitempty"` // its package in package.json, where that is not the newest of them
	Modes        map[string]int `json:"modes"`
	Window       int            `json:"window"`
	Small        int            `json:"small,omitempty"`
	Large        large          `json:"large"`
	Stall        int            `json:"stall"`
	SharedAgent  bool           `json:"sharedAgent,omitempty"`
	UpgradeFirst bool           `json:"upgradeFirst,omitempty"`
	InTurn       bool           `json:"inTurn,omitempty"`
	Rooms        int            `json:"rooms,omitempty"`
}

type large struct {
	Every     int `json:"every"`
	Websocket int `json:"websocket"`
	Polling   int `json:"polling"`
}

// clients is a process that drives real client sessions.
type clients struct{ *process }

func startClients(t *testing.T, p plan) *clients {
	t.Helper()
	if p.Stall == 0 {
		p.Stall = 60000
	}
	if p.Window == 0 {
		p.Window = 4
	}
	config, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{start(t, command{name: "clients", talks: true, argv: []string{"node", "testdata/client.mjs", string(config)}})}
	var ready struct{ Ready bool }
	c.hear(t, &ready)
	return c
}

// connect opens all sessions and returns when they are connected.
func (c *clients) connect(t *testing.T) report {
	t.Helper()
	return c.report(t, map[string]any{"cmd": "connect"})
}

// exchange has each session send this many acknowledged messages, and returns when all is answered or lost.
func (c *clients) exchange(t *testing.T, messages int) report {
	t.Helper()
	return c.report(t, map[string]any{"cmd": "exchange", "messages": messages})
}

// begin has the sessions send without end, each `pace` milliseconds, until finish.
func (c *clients) begin(t *testing.T, pace int) {
	t.Helper()
	c.ask(t, map[string]any{"cmd": "start", "pace": pace}, &struct{}{})
}

func (c *clients) finish(t *testing.T) report {
	t.Helper()
	return c.report(t, map[string]any{"cmd": "finish"})
}

func (c *clients) stats(t *testing.T) report {
	t.Helper()
	return c.report(t, map[string]any{"cmd": "stats"})
}

// leave ends all sessions and the process.
func (c *clients) leave(t *testing.T) {
	t.Helper()
	c.ask(t, map[string]any{"cmd": "stop"}, &struct{}{})
	if code := c.exit(t); code != 0 {
		t.Errorf("clients ended with %d", code)
	}
}

func (c *clients) report(t *testing.T, line map[string]any) report {
	t.Helper()
	var r report
	c.ask(t, line, &r)
	return r
}

// report is what the client sessions saw.
type report struct {
	Seconds  float64
	Lag      float64 // the longest time in seconds that the process was kept from running
	Sessions []session
}

// session is one client session. A session that reconnects has several nodes and connects, and is judged in each of its lives.
type session struct {
	Name, Mode, Transport string
	SIDs                  []string // one for each connection, the present one last
	Nodes, Events         []string
	Connected, Idle       bool

	Connects, ConnectErrors, Disconnects int
	Sent, Acked, Cut, Pushes             int
	Lost, Doubled, Reordered, Corrupt    int
}

// where selects the sessions for which keep holds.
func (r report) where(keep func(session) bool) report {
	var kept []session
	for _, s := range r.Sessions {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return report{Seconds: r.Seconds, Sessions: kept}
}

func (r report) mode(mode string) report {
	return r.where(func(s session) bool { return s.Mode == mode })
}

// without leaves out the sessions that had one of these sids.
func (r report) without(sids []string) report {
	return r.where(func(s session) bool {
		return !slices.ContainsFunc(s.SIDs, func(sid string) bool { return slices.Contains(sids, sid) })
	})
}

func (r report) acked() int {
	n := 0
	for _, s := range r.Sessions {
		n += s.Acked
	}
	return n
}

// flaws are what must not happen, by kind, each with those whom it happened to.
type flaws map[string][]string

func (f flaws) add(kind, where string, n int) {
	if n > 0 {
		f[kind] = append(f[kind], fmt.Sprintf("%s (%d)", where, n))
	}
}

func (f flaws) String() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(f)) {
		shown := f[kind][:min(len(f[kind]), 8)]
		fmt.Fprintf(&b, "%s: %d, first: %s\n", kind, len(f[kind]), strings.Join(shown, "; "))
	}
	return b.String()
}

// messageFlaws are those of the messages alone: a session may have been cut, but each of its lives was whole.
func (r report) messageFlaws(nodes []stats) flaws {
	f := flaws{}
	for _, s := range r.Sessions {
		who := fmt.Sprintf("%s on %v %v", s.Name, s.Nodes, s.Events)
		f.add("lost", who, s.Lost)
		f.add("doubled", who, s.Doubled)
		f.add("reordered", who, s.Reordered)
		f.add("corrupt", who, s.Corrupt)
		if !s.Idle {
			f.add("unfinished", who, 1)
		}
	}
	for _, n := range nodes {
		f.add("lost", "node "+n.Node, n.Lost)
		f.add("doubled", "node "+n.Node, n.Doubled)
		f.add("reordered", "node "+n.Node, n.Reordered)
		f.add("corrupt", "node "+n.Node, n.Corrupt)
	}
	return f
}

// flaws are those of the messages and of the sessions: each connected once, stayed, and upgraded if it was to.
func (r report) flaws(nodes []stats) flaws {
	f := r.messageFlaws(nodes)
	for _, s := range r.Sessions {
		who := fmt.Sprintf("%s on %v %v", s.Name, s.Nodes, s.Events)
		f.add("connect_error", who, s.ConnectErrors)
		f.add("disconnect", who, s.Disconnects)
		if !s.Connected {
			f.add("unconnected", who, 1)
		}
		if s.Mode == "upgrade" && s.Transport != "websocket" {
			f.add("not upgraded", who, 1)
		}
		if len(s.Nodes) != s.Connects {
			f.add("no greeting", who, 1)
		}
	}
	return f
}

func (f flaws) check(t *testing.T) {
	t.Helper()
	if len(f) > 0 {
		t.Errorf("flaws:\n%v", f)
	}
}
