package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// listed is how many rooms are shown, the last used first.
const listed = 50

// Member is a client in a room, and how it is connected.
type Member struct {
	Socket    string `json:"socket"` // id of its connection to the chat, which it keeps when it goes on at another node
	Room      string `json:"room"`
	UID       string `json:"uid"`
	Name      string `json:"name"`
	Node      string `json:"node"`
	Replica   string `json:"replica"` // empty where it is not known
	Transport string `json:"transport"`
	SID       string `json:"sid"` // its first characters only, since a sid is a secret
	At        int64  `json:"at"`  // when its node last said so, in milliseconds since 1970
}

// field is where a member stands among those of its room: under its node, too, since a client that goes on at another one
// keeps its id, and the word of the node that it has left must not take it away from there.
func (m Member) field() string { return m.Node + " " + m.Socket }

// Node is a chat node that has lately said that it runs.
type Node struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // go or js
	At   int64  `json:"at"`
}

// Room is a room as all nodes see it.
type Room struct {
	Name    string   `json:"name"`
	Last    string   `json:"last"` // id of its last message, empty for none
	Members []Member `json:"members"`
}

// Report says that these members are here, and that their node runs. A node reports all its members every few seconds,
// and each at once when it comes.
func (r *Rooms) Report(ctx context.Context, n Node, members []Member) error {
	now := time.Now()
	n.At = now.UnixMilli()
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, keyNodes, n.Name, encode(n))
		for _, m := range members {
			m.At = n.At
			p.HSet(ctx, keyOf(m.Room, "here"), m.field(), encode(m))
			p.Expire(ctx, keyOf(m.Room, "here"), 4*r.opts.Present)
			p.ZAdd(ctx, keyRooms, redis.Z{Score: float64(n.At), Member: m.Room})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rooms: report: %w", err)
	}
	return nil
}

// Leave says that these members are no longer here.
func (r *Rooms) Leave(ctx context.Context, members []Member) error {
	if len(members) == 0 {
		return nil
	}
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range members {
			p.HDel(ctx, keyOf(m.Room, "here"), m.field())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rooms: leave: %w", err)
	}
	return nil
}

// Nodes lists the nodes that have lately reported, by name.
func (r *Rooms) Nodes(ctx context.Context) ([]Node, error) {
	all, err := r.rdb.HGetAll(ctx, keyNodes).Result()
	if err != nil {
		return nil, fmt.Errorf("rooms: read the nodes: %w", err)
	}
	list := []Node{}
	for _, text := range all {
		var n Node
		if json.Unmarshal([]byte(text), &n) == nil && r.fresh(n.At) {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// List returns the rooms that were used last, with their members, in the order of their names.
func (r *Rooms) List(ctx context.Context) ([]Room, error) {
	oldest := fmt.Sprint(time.Now().Add(-r.opts.Life).UnixMilli())
	names, err := r.rdb.ZRevRangeByScore(ctx, keyRooms, &redis.ZRangeBy{Min: oldest, Max: "+inf", Count: listed}).Result()
	if err != nil {
		return nil, fmt.Errorf("rooms: list: %w", err)
	}
	slices.Sort(names)
	here := make([]*redis.MapStringStringCmd, len(names))
	last := make([]*redis.XMessageSliceCmd, len(names))
	_, err = r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			here[i] = p.HGetAll(ctx, keyOf(name, "here"))
			last[i] = p.XRevRangeN(ctx, keyOf(name, "log"), "+", "-", 1)
		}
		p.ZRemRangeByScore(ctx, keyRooms, "-inf", "("+oldest)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rooms: list: %w", err)
	}
	list := make([]Room, 0, len(names))
	var gone []Member
	for i, name := range names {
		room := Room{Name: name}
		for field, text := range here[i].Val() {
			m, fresh := r.member(text)
			if fresh {
				room.Members = append(room.Members, m)
			} else {
				at := max(0, strings.LastIndexByte(field, ' ')) // ids of sockets have none
				gone = append(gone, Member{Room: name, Node: field[:at], Socket: field[at+1:]})
			}
		}
		room.Members = present(room.Members)
		if entries := last[i].Val(); len(entries) > 0 {
			room.Last = entries[0].ID
		}
		list = append(list, room)
	}
	return list, r.Leave(ctx, gone)
}

func (r *Rooms) member(text string) (m Member, fresh bool) {
	err := json.Unmarshal([]byte(text), &m)
	return m, err == nil && r.fresh(m.At)
}

// present orders who is here by name. A client whose node died is listed there until its time is over, and on its new
// node already: the later word counts.
func present(all []Member) []Member {
	byUID := map[string]Member{}
	for _, m := range all {
		if m.At > byUID[m.UID].At {
			byUID[m.UID] = m
		}
	}
	list := make([]Member, 0, len(byUID))
	for _, m := range byUID {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int {
		if c := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); c != 0 {
			return c
		}
		return strings.Compare(a.UID, b.UID)
	})
	return list
}

func (r *Rooms) fresh(at int64) bool {
	return at > time.Now().Add(-r.opts.Present).UnixMilli()
}

func encode(v any) []byte {
	b, _ := json.Marshal(v) // plain structs always encode
	return b
}
