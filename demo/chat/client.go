package chat

import (
	"encoding/json"
	"sync"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/demo/rooms"
)

// sidShown is how much of a sid people may see.
const sidShown = 4

// client is one connection to this node.
type client struct {
	node   *Node
	socket *socket.Socket

	mu   sync.Mutex
	uid  string
	name string
	room string // empty until it has joined one
}

func (n *Node) connected(s *socket.Socket) {
	c := &client{node: n, socket: s}
	n.mu.Lock()
	n.clients[c] = struct{}{}
	n.mu.Unlock()
	answer(c, "join", c.join)
	answer(c, "message", c.message)
	answer(c, "history", c.history)
	answer(c, "image", c.image)
	answer(c, "read", c.read)
	answer(c, "status", c.status)
	answer(c, "cluster", c.cluster)
	answer(c, "act", c.act)
	answer(c, "phone", c.phone)
	answer(c, "typing", c.typing)
	answer(c, "beat", c.beat)
	_ = s.On("disconnect", func(...any) { c.gone() }) // fails only without a listener
	if c.remember() {
		poke(n.come)
	}
	// By way of this node alone: with recovery, an event that is sent to a socket goes through Redis first.
	alone := func(event string, arg any) { _ = n.io.Local().To(socket.Room(s.Id())).Emit(event, arg) }
	alone("here", n.opts.Name)
	_, away := n.view.get()
	alone("redis", !away)
	if rooms := n.view.rooms(); rooms != nil {
		alone("rooms", rooms)
	}
}

// data is what the adapter keeps of a client for the node where its session goes on.
type data struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	Room string `json:"room"`
}

// remember takes over what another node has known of a client whose session goes on here, and reports whether it has.
func (c *client) remember() bool {
	if !c.socket.Recovered() {
		return false
	}
	var d data
	if b, err := json.Marshal(c.socket.Data()); err == nil {
		_ = json.Unmarshal(b, &d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uid, c.name, c.room = d.UID, d.Name, d.Room
	return true
}

// answer has a request of the client handled and acknowledged. Requests are decoded strictly enough for what they are
// used for; a client that sends nonsense gets zero values.
func answer[T any](c *client, event string, handle func(T, []byte) reply) {
	_ = c.socket.On(event, func(args ...any) {
		var request T
		var data []byte
		var ack socket.Ack
		for i, arg := range args {
			switch arg := arg.(type) {
			case socket.Ack:
				ack = arg
			case interface{ Bytes() []byte }:
				data = arg.Bytes()
			case []byte:
				data = arg
			default:
				if i == 0 {
					if b, err := json.Marshal(arg); err == nil {
						_ = json.Unmarshal(b, &request)
					}
				}
			}
		}
		r := handle(request, data)
		if ack != nil {
			ack([]any{map[string]any(r)}, nil)
		}
	})
}

// reply is what a request is acknowledged with.
type reply map[string]any

func done() reply { return reply{"ok": true} }

// refuse says that the same request would be refused again.
func refuse(why string) reply { return reply{"ok": false, "error": why, "retry": false} }

// away says that Redis could not do it now, so that the client tries again.
func (c *client) away(err error) reply {
	c.node.log.Debug("a request failed", "error", err)
	return reply{"ok": false, "error": "Redis is away", "retry": true}
}

// member is what the others may know of this client; its room is empty if it is in none.
func (c *client) member() rooms.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	session := c.socket.Conn()
	return rooms.Member{
		Socket: string(c.socket.Id()), Room: c.room, UID: c.uid, Name: c.name, Node: c.node.opts.Name,
		Replica: c.node.via.of(session.Id()), Transport: session.Transport().Name(), SID: shown(session.Id()),
	}
}

func shown(sid string) string { return sid[:min(sidShown, len(sid))] }

func (c *client) gone() {
	m := c.member()
	c.node.mu.Lock()
	delete(c.node.clients, c)
	c.node.mu.Unlock()
	if m.Room == "" {
		return
	}
	ctx, cancel := c.node.context()
	defer cancel()
	if err := c.node.rooms.Leave(ctx, []rooms.Member{m}); err != nil {
		c.node.log.Debug("could not take a client's leave", "error", err)
	}
	c.node.lookSoon()
}

// plain turns structs into the maps that the library's encoder understands.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	_ = json.Unmarshal(b, &out)
	return out
}
