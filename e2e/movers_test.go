package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kinds of nodes whose sessions can move.
const (
	moveNode kind = "Node"                       // with @socket.io/redis-streams-adapter
	moveKept kind = "Node with @sidway/recovery" // which keeps sessions while they are connected
	moveGo   kind = "Go"
)

var movenodeBinary = sync.OnceValues(func() (string, error) {
	return build("movenode", "go", "-C", "../adapter", "build", "-o", buildDir, "./internal/movenode")
})

// startMoveNode starts a node on a port, 0 for any. Its name is told apart from that of the process before it by `life`.
func startMoveNode(t *testing.T, k kind, redis string, name, life string, port int, env ...string) *node {
	t.Helper()
	c := command{name: name + life, talks: true, argv: []string{"node", "testdata/movenode.mjs"}}
	c.env = append(env, "NODE_NAME="+name+life, "REDIS="+redis, "PORT="+strconv.Itoa(port))
	switch k {
	case moveGo:
		c.argv = []string{binaryOf(t, movenodeBinary)}
	case moveKept:
		path, err := filepath.Abs("../adapter/node/index.js")
		if err != nil {
			t.Fatal(err)
		}
		c.env = append(c.env, "ADAPTER="+path)
	}
	n := &node{process: start(t, c), name: name}
	var ready struct{ Port int }
	n.hear(t, &ready)
	n.port = ready.Port
	return n
}

// moveStats is what one process of a node saw.
type moveStats struct {
	Node                                          string
	Live, Connections, Recovered, Asked, Answered int
	Wrong                                         []string
	Reasons                                       map[string]int
	Ups                                           map[string][]run
}

// run is a row of numbers without a gap that a node received from a session.
type run struct {
	began, ended float64 // milliseconds since 1970
	first, last  int
}

func (r *run) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&r.began, &r.ended, &r.first, &r.last})
}

func (n *node) moveStats(t *testing.T) moveStats {
	t.Helper()
	var s moveStats
	n.ask(t, map[string]any{"cmd": "stats"}, &s)
	return s
}

// movePlan configures a driver of sessions that are moved; see testdata/movers.mjs for what its fields do.
type movePlan struct {
	URL    string         `json:"url"`
	Client string         `json:"client,omitempty"`
	Modes  map[string]int `json:"modes"`
	Rooms  int            `json:"rooms"`
	Period int            `json:"period"`
	Fault  string         `json:"fault,omitempty"`
}

func (p movePlan) rooms() []string {
	var rooms []string
	for i := range p.Rooms {
		rooms = append(rooms, fmt.Sprintf("room-%d", i))
	}
	return rooms
}

// moverStream is what a session saw of one numbered stream; Gap is the longest time between two of its messages, in ms.
type moverStream struct{ Received, Lost, Doubled, Reordered, Gap int }

// whereabouts is what a session's node knows of it; Room is the one that it should be in.
type whereabouts struct {
	Node, ID, Who, Room, Error string
	Rooms                      []string
}

// mover is one session that is moved.
type mover struct {
	Name, Mode, Transport, Engine                               string
	IDs, Events                                                 []string
	Connects, Recovered, Disconnects, Sent, Asks, Bare, Unacked int
	First, Last                                                 whereabouts
	Ticks, Echoes, Acks                                         moverStream
}

// moveReport is what all of them saw; Lag is for how long their process was kept from running at worst, in ms.
type moveReport struct {
	Lag      float64
	Sessions []mover
}

func startMovers(t *testing.T, p movePlan) *process {
	t.Helper()
	config, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, command{name: "movers", talks: true, argv: []string{"node", "testdata/movers.mjs", string(config)}})
	var ready struct{ Ready bool }
	c.hear(t, &ready)
	return c
}

// flaws are what a client that is moved must not see, and what its nodes must not; moved tells that each session must have gone on at another
// process than it began at.
func (r moveReport) flaws(nodes []moveStats, moved bool) flaws {
	f := flaws{}
	for _, s := range r.Sessions {
		who := fmt.Sprintf("%s from %s to %s %v", s.Name, s.First.Node, s.Last.Node, s.Events)
		f.add("disconnect", who, s.Disconnects)
		f.add("connect", who, s.Connects-1)
		f.add("unacknowledged", who, s.Unacked)
		f.add("ask without a callback", who, s.Bare)
		for what, stream := range map[string]moverStream{"tick": s.Ticks, "echo": s.Echoes, "ack": s.Acks} {
			f.add(what+" lost", who, stream.Lost)
			f.add(what+" doubled", who, stream.Doubled)
			f.add(what+" reordered", who, stream.Reordered)
		}
		rooms := []string{s.First.ID, s.Last.Room}
		slices.Sort(rooms)
		switch {
		case s.Last.Error != "" || s.First.Error != "":
			f.add("no answer to whoami", who, 1)
		case s.Last.ID != s.First.ID || len(s.IDs) != 1 || s.IDs[0] != s.First.ID:
			f.add("another id", who, 1)
		case s.Last.Who != s.Name || !slices.Equal(s.Last.Rooms, rooms):
			f.add("other rooms or data", fmt.Sprintf("%s: %+v", who, s.Last), 1)
		case moved && s.Last.Node == s.First.Node:
			f.add("not moved", who, 1)
		}
		if s.Mode == "upgrade" && s.Transport != "websocket" {
			f.add("not upgraded", who, 1)
		}
		f.addUps(s, nodes)
	}
	for _, n := range nodes {
		f.add("node's data", fmt.Sprint(n.Node, " ", n.Wrong), len(n.Wrong))
		f.add("ask unanswered", n.Node, n.Asked-n.Answered)
	}
	return f
}

// addUps judges what all nodes together received of a session.
func (f flaws) addUps(s mover, nodes []moveStats) {
	var runs []run
	for _, n := range nodes {
		runs = append(runs, n.Ups[s.Name]...)
	}
	slices.SortFunc(runs, func(a, b run) int { return int(1000 * (a.began - b.began)) })
	seen, next, ended := map[int]bool{}, 0, 0.0
	lost, doubled, reordered := 0, 0, 0
	for _, r := range runs {
		if r.began < ended {
			reordered++ // one node still received when the next began
		}
		ended = r.ended
		for i := r.first; i <= r.last; i++ {
			switch {
			case seen[i]:
				doubled++
			case i < next:
				reordered++
			}
			seen[i] = true
			next = max(next, i+1)
		}
	}
	for i := range s.Sent {
		if !seen[i] {
			lost++
		}
	}
	f.add("up lost", s.Name, lost)
	f.add("up doubled", s.Name, doubled)
	f.add("up reordered", s.Name, reordered)
}

// stalls returns for how long the sessions' streams stood still beyond their periods: half of them at most, 99 of 100, and the worst.
func (r moveReport) stalls() (median, p99, worst time.Duration) {
	var all []int
	for _, s := range r.Sessions {
		all = append(all, s.Ticks.Gap-tickPeriod, s.Echoes.Gap-echoPeriod)
	}
	slices.Sort(all)
	at := func(share int) time.Duration { return time.Duration(all[(len(all)-1)*share/100]) * time.Millisecond }
	return at(50), at(99), at(100)
}

// drainNode does what an operator does, and returns when no session is left on the node.
func (r *replica) drainNode(t *testing.T, n *node, deadline time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.binary, "drain", n.name, "--config", r.config, "--deadline", deadline.String(), "--wait")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sidway drain %s: %v\n%s", n.name, err, out)
	}
}

// moves reads sidway_moves_total of a replica, without what is zero.
func (r *replica) moves(t *testing.T) string {
	t.Helper()
	status, page := r.adminPage("/metrics")
	if status != http.StatusOK {
		t.Fatalf("%s: /metrics: status %d", r.name, status)
	}
	var lines []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "sidway_moves_total{") && !strings.HasSuffix(line, " 0\n") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, ", ")
}
