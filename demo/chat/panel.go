package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sidway/sidway/demo/rooms"
)

// Control reaches what started this node and can break things on purpose.
type Control struct {
	URL   string // base of GET state and POST act
	Token string // so that only the nodes may
}

// Act is something to be done: "stop-redis", "kill-node", "restart-replica" or "drain-node", with the name of the node or
// replica, or "move-session" to that node, where empty to any.
type Act struct {
	What string `json:"what"`
	Name string `json:"name"`
	SID  string `json:"sid"` // of the session to be moved, as its client knows it
}

// State is what the starter knows of what it started.
type State struct {
	Nodes    []Process `json:"nodes"`
	Replicas []Process `json:"replicas"`
	Redis    Process   `json:"redis"`
	Acts     []string  `json:"acts"`   // what can be done here
	Events   []Event   `json:"events"` // what has lately happened, in order
	Phone    string    `json:"phone"`  // URL for phones in the same network, empty where they cannot reach the page
}

// Phone is that URL, and its QR code.
type Phone struct {
	URL string `json:"url"`
	PNG []byte `json:"png"`
}

// Event is something that has happened to what the starter started.
type Event struct {
	ID   int64  `json:"id"` // counts up
	At   int64  `json:"at"` // milliseconds since 1970
	What string `json:"what"`
	Name string `json:"name"` // of the process that it happened to
	// Of a session's move: the beginning of the sid that its client knows, the nodes, what became of it in the words of
	// docs/moving.md, or "absent" where no replica knows it, and how many milliseconds it took.
	SID     string `json:"sid,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Took    int64  `json:"took,omitempty"`
}

// Process is a node, a replica or Redis.
type Process struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"` // go, js, sidway, redis
	Up       bool   `json:"up"`
	Draining bool   `json:"draining"`
	Restarts int    `json:"restarts"`
}

func (c *Control) do(ctx context.Context, method, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("chat: control: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("chat: control: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("chat: control: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("chat: control: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("chat: control: %s", bytes.TrimSpace(answer))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("chat: control: %w", err)
	}
	return nil
}

// status tells a client where it is.
func (c *client) status(_ struct{}, _ []byte) reply {
	m := c.member()
	_, away := c.node.view.get()
	return reply{
		"ok": true, "node": m.Node, "kind": "go", "replica": m.Replica, "transport": m.Transport, "sid": m.SID,
		"redis": !away, "at": time.Now().UnixMilli(),
	}
}

// cluster tells what there is, and where each session is.
func (c *client) cluster(_ struct{}, _ []byte) reply {
	n := c.node
	ctx, cancel := n.context()
	defer cancel()
	state := State{}
	if n.opts.Control != nil {
		if err := n.opts.Control.do(ctx, http.MethodGet, "/state", nil, &state); err != nil {
			n.log.Warn("no word from the starter", "error", err)
		}
	} else {
		state = n.guess(ctx)
	}
	sessions := []rooms.Member{}
	all, _ := n.view.get()
	for _, r := range all {
		sessions = append(sessions, r.Members...)
	}
	for i := range sessions {
		sessions[i].Socket = ""
	}
	return reply{"ok": true, "state": plain(state), "sessions": plain(sessions)}
}

// guess tells what there is where nobody who started it can be asked: nodes that report, and the replicas that this node
// was told of.
func (n *Node) guess(ctx context.Context) State {
	s := State{Nodes: []Process{}, Replicas: []Process{}, Acts: []string{}, Events: []Event{}}
	nodes, err := n.rooms.Nodes(ctx)
	s.Redis = Process{Name: "redis", Kind: "redis", Up: err == nil}
	for _, known := range nodes {
		s.Nodes = append(s.Nodes, Process{Name: known.Name, Kind: known.Kind, Up: true})
	}
	if err != nil {
		s.Nodes = append(s.Nodes, Process{Name: n.opts.Name, Kind: "go", Up: true})
	}
	for _, r := range n.opts.Replicas {
		s.Replicas = append(s.Replicas, Process{Name: r.Name, Kind: "sidway", Up: true})
	}
	return s
}

// phone gives the QR code of the page's address for phones.
func (c *client) phone(_ struct{}, _ []byte) reply {
	if c.node.opts.Control == nil {
		return refuse("the address is not known here")
	}
	ctx, cancel := c.node.context()
	defer cancel()
	var p Phone
	if err := c.node.opts.Control.do(ctx, http.MethodGet, "/phone", nil, &p); err != nil {
		return refuse(err.Error())
	}
	return reply{"ok": true, "url": p.URL, "png": p.PNG}
}

// act has something broken on purpose.
func (c *client) act(a Act, _ []byte) reply {
	if c.node.opts.Control == nil {
		return refuse("nothing can be broken here")
	}
	ctx, cancel := c.node.context()
	defer cancel()
	if err := c.node.opts.Control.do(ctx, http.MethodPost, "/act", a, nil); err != nil {
		return refuse(err.Error())
	}
	return done()
}
