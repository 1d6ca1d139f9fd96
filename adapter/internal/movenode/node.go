package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zishang520/socket.io/v2/socket"
)

// node counts what its sockets do, under the names of e2e/testdata/movenode.mjs.
type node struct {
	name string

	mu                                            sync.Mutex
	live, connections, recovered, asked, answered int
	wrong                                         []string
	reasons                                       map[string]int
	ups                                           map[string][]*span
}

// span is a run of numbers that one session sent, each the one after the last.
type span struct {
	began, ended float64 // milliseconds since 1970
	first, last  int
}

func (s *span) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{s.began, s.ended, s.first, s.last})
}

func (n *node) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *node) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	say(map[string]any{
		"node": n.name, "live": n.live, "connections": n.connections, "recovered": n.recovered, "asked": n.asked,
		"answered": n.answered, "wrong": append([]string{}, n.wrong...), "reasons": n.reasons, "ups": n.ups,
	})
}

func (n *node) welcome(s *socket.Socket) {
	auth, _ := s.Handshake().Auth.(map[string]any)
	who, _ := auth["name"].(string)
	room, _ := auth["room"].(string)
	if !s.Recovered() {
		s.SetData(map[string]any{"who": who, "up": -1})
		s.Join(socket.Room(room))
	}
	n.change(func() {
		n.connections++
		n.live++
		if s.Recovered() {
			n.recovered++
			if !whole(s, who, socket.Room(room)) {
				n.wrong = append(n.wrong, fmt.Sprintf("%s: %v in %v", who, s.Data(), s.Rooms().Keys()))
			}
		}
	})
	_ = s.On("up", n.up(s, who))
	_ = s.On("whoami", func(args ...any) {
		data, _ := s.Data().(map[string]any)
		rooms := s.Rooms().Keys()
		slices.Sort(rooms)
		args[len(args)-1].(socket.Ack)([]any{map[string]any{"node": n.name, "id": s.Id(), "who": data["who"], "rooms": rooms}}, nil)
	})
	_ = s.On("disconnect", func(args ...any) {
		n.change(func() {
			n.live--
			n.reasons[fmt.Sprint(args[0])]++
		})
	})
}

// up answers the numbered messages of one connection of a session.
func (n *node) up(s *socket.Socket, who string) func(...any) {
	take := n.take(who)
	next, known := nextOf(s)
	return func(args ...any) {
		number, ack := args[0], args[len(args)-1].(socket.Ack)
		i := int(number.(float64))
		if known && next != i {
			n.change(func() {
				n.wrong = append(n.wrong, fmt.Sprintf("%s: its data say that %d comes next, not %d", who, next, i))
			})
		}
		known = false
		take(i)
		s.SetData(map[string]any{"who": who, "up": i})
		if i%5 == 0 {
			_ = s.Emit("echo", i/5)
			n.change(func() { n.asked++ })
			s.EmitWithAck("ask", number)(func(answer []any, _ error) {
				if len(answer) == 1 && answer[0] == number {
					n.change(func() { n.answered++ })
				}
			})
		}
		ack([]any{number}, nil)
	}
}

// nextOf is the number that comes next from a session that has moved, as its data know.
func nextOf(s *socket.Socket) (int, bool) {
	if !s.Recovered() {
		return 0, false
	}
	data, _ := s.Data().(map[string]any)
	var up int
	_, err := fmt.Sscan(fmt.Sprint(data["up"]), &up)
	return up + 1, err == nil
}

// whole tells whether a session that has moved has what it had.
func whole(s *socket.Socket, who string, room socket.Room) bool {
	data, _ := s.Data().(map[string]any)
	rooms := s.Rooms()
	return data["who"] == who && rooms.Has(room) && rooms.Has(socket.Room(s.Id())) && rooms.Len() == 2
}

// take returns what records the numbers of one connection of a session.
func (n *node) take(who string) func(int) {
	var current *span
	return func(i int) {
		now := float64(time.Now().UnixMicro()) / 1000
		n.change(func() {
			if current != nil && i == current.last+1 {
				current.ended, current.last = now, i
				return
			}
			current = &span{began: now, ended: now, first: i, last: i}
			n.ups[who] = append(n.ups[who], current)
		})
	}
}
