package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/sidway/sidway/demo/rooms"
)

// view is what this node has last seen of all rooms.
type view struct {
	mu   sync.Mutex
	all  []rooms.Room // nil until Redis has been reached
	told []byte       // what the clients were told last
	away bool         // Redis could not be reached the last time
}

// shownRoom is what clients are told of a room.
type shownRoom struct {
	Name    string        `json:"name"`
	Last    string        `json:"last"`
	Members []shownMember `json:"members"`
}

type shownMember struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	Node string `json:"node"`
}

// rooms returns what clients are told; nil if nothing is known yet.
func (v *view) rooms() any {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil {
		return nil
	}
	list := make([]shownRoom, 0, len(v.all))
	for _, r := range v.all {
		s := shownRoom{Name: r.Name, Last: r.Last, Members: make([]shownMember, 0, len(r.Members))}
		for _, m := range r.Members {
			s.Members = append(s.Members, shownMember{UID: m.UID, Name: m.Name, Node: m.Node})
		}
		list = append(list, s)
	}
	return plain(list)
}

// set takes a new look and reports whether clients would see a difference.
func (v *view) set(all []rooms.Room) bool {
	v.mu.Lock()
	v.all, v.away = all, false
	v.mu.Unlock()
	text, err := json.Marshal(v.rooms())
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil || bytes.Equal(text, v.told) {
		return false
	}
	v.told = text
	return true
}

// missed notes that Redis could not be reached, and reports whether that is news.
func (v *view) missed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := !v.away
	v.away = true
	return news
}

func (v *view) get() (all []rooms.Room, away bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all, v.away
}

// lookSoon shows a change that this node made without waiting for the next look.
func (n *Node) lookSoon() { poke(n.nudge) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been asked for already
	}
}

// look reads the rooms, and tells this node's clients what has changed: who is here, and where each log ends.
func (n *Node) look(ctx context.Context) {
	all, err := n.rooms.List(ctx)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return // the node ends
		}
		if n.view.missed() {
			n.log.Warn("redis does not answer: what is said waits", "error", err)
			_ = n.io.Local().Emit("redis", false)
		}
		return
	}
	if _, away := n.view.get(); away {
		n.log.Info("redis is used again")
		_ = n.io.Local().Emit("redis", true)
	}
	if n.view.set(all) {
		_ = n.io.Local().Emit("rooms", n.view.rooms())
	}
}
