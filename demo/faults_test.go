package main_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/demo/chat"
	"github.com/sidway/sidway/demo/rooms"
)

// report is what the scripted users saw.
type report struct {
	Users []struct {
		Room      string            `json:"room"`
		UID       string            `json:"uid"`
		Sent      map[string]string `json:"sent"` // key -> id, of what was shown as sent
		Delivered []string          `json:"delivered"`
		Refused   []string          `json:"refused"`
		Log       []struct {
			ID     string `json:"id"`
			Key    string `json:"key"`
			Notice string `json:"notice"`
		} `json:"log"`
	} `json:"users"`
}

// check demands that everything that was shown as sent is in every member's log, once, where the node said, and that all
// members of a room have one log without gaps. It returns how many messages there are.
func (r report) check(t *testing.T) int {
	t.Helper()
	logs := map[string][]string{}
	total := 0
	for _, u := range r.Users {
		ids := make([]string, 0, len(u.Log))
		at := map[string]string{}
		var before int64
		for _, e := range u.Log {
			if e.Notice != "" {
				t.Errorf("%s was told %q", u.UID, e.Notice)
			}
			if at[e.Key] != "" {
				t.Errorf("%s has %s twice", u.UID, e.Key)
			}
			if _, number, _ := rooms.Position(e.ID); number != before+1 {
				t.Errorf("%s has %s behind number %d", u.UID, e.ID, before)
			} else {
				before = number
			}
			at[e.Key] = e.ID
			ids = append(ids, e.ID+" "+e.Key)
		}
		if known, ok := logs[u.Room]; !ok {
			logs[u.Room] = ids
		} else if strings.Join(known, "\n") != strings.Join(ids, "\n") {
			t.Errorf("%s has another log than others in %s: %d and %d messages", u.UID, u.Room, len(ids), len(known))
		}
		if len(u.Refused) > 0 {
			t.Errorf("%s was refused: %v", u.UID, u.Refused)
		}
		total += len(u.Sent)
	}
	for _, u := range r.Users {
		in := "\n" + strings.Join(logs[u.Room], "\n") + "\n"
		for key, id := range u.Sent {
			if !strings.Contains(in, "\n"+id+" "+key+"\n") {
				t.Errorf("%s of %s was shown as sent at %s and is not there", key, u.UID, id)
			}
		}
		for _, key := range u.Delivered {
			if u.Sent[key] == "" {
				t.Errorf("%s was shown as delivered and never as sent", key)
			}
		}
		if len(u.Delivered) != len(u.Sent) {
			t.Errorf("%s: %d shown as delivered of %d", u.UID, len(u.Delivered), len(u.Sent))
		}
	}
	return total
}

// breakAll kills a node, restarts a replica and has Redis away, one after the other, each until all is well again.
func breakAll(t *testing.T, u *users, stopRedis func()) {
	t.Helper()
	var where struct{ Nodes, Replicas []string }
	u.do("where", nil, &where)
	for what, name := range map[string]string{"kill-node": where.Nodes[0], "restart-replica": where.Replicas[0]} {
		u.do("act", map[string]any{"what": what, "name": name}, nil)
		eventually(t, name+" is back", func() bool {
			var s chat.State
			u.do("state", nil, &s)
			for _, p := range append(s.Nodes, s.Replicas...) {
				if p.Name == name {
					return p.Up && p.Restarts > 0
				}
			}
			return false
		})
	}
	stopRedis()
}

// embeddedRedis has the one inside the launcher stopped by the panel's button. Who asks may be cut off meanwhile: what it
// sends through a replica that has just started and cannot ask Redis where its session is.
func embeddedRedis(t *testing.T, u *users) func() {
	return func() {
		t.Helper()
		u.do("act", map[string]any{"what": "stop-redis"}, nil)
		eventually(t, "Redis was away and is back", func() bool {
			var s chat.State
			u.do("state", nil, &s)
			return s.Redis.Up && s.Redis.Restarts > 0
		})
	}
}

func TestNothingSentIsLost(t *testing.T) {
	d := startDemo(t, "", "--node-js", "1")
	u := startUsers(t, usersConfig{URL: d.url, Users: 8, Rooms: 2, Polling: 3})
	u.do("enter", nil, nil)
	u.do("talk", map[string]any{"pace": 600}, nil)
	breakAll(t, u, embeddedRedis(t, u))
	u.do("hush", nil, nil)
	u.do("settle", nil, nil)
	var r report
	u.do("report", nil, &r)
	if n := r.check(t); n < 8 {
		t.Errorf("only %d messages", n)
	}
	u.do("leave", nil, nil)
}

// TestNodesHearEachOtherAfterRedisWasAway has users on two Node.js nodes, which read the adapter's stream by commands that block.
func TestNodesHearEachOtherAfterRedisWasAway(t *testing.T) {
	d := startDemo(t, "", "--nodes", "2", "--node-js", "2")
	u := startUsers(t, usersConfig{URL: d.url, Users: 4, Rooms: 1})
	u.do("enter", nil, nil)
	all := func(why string) {
		t.Helper()
		var where struct{ Nodes []string }
		u.do("where", nil, &where)
		if slices.Sort(where.Nodes); where.Nodes[0] == where.Nodes[3] {
			t.Fatalf("all are on the same node: %q", where.Nodes)
		}
		type count struct{ Heard []int }
		var before, now count
		u.do("heard", nil, &before)
		eventually(t, "messages come to all by themselves "+why, func() bool {
			u.do("say", map[string]any{"user": 0, "text": "hello"}, nil)
			u.do("heard", nil, &now)
			for i, n := range now.Heard {
				if n < before.Heard[i]+2 {
					return false
				}
			}
			return true
		})
	}
	all("at first")
	embeddedRedis(t, u)()
	all("after an outage")
	eventually(t, "each replica says that Redis is used again", func() bool { return d.said.times("redis is used again") == 2 })
	if n := d.said.times("kept here"); n < 2 {
		t.Errorf("told %d times that Redis was away", n)
	}
	u.do("leave", nil, nil)
}

// waitFor lets the fault last.
func waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
