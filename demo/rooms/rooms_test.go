package rooms_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/demo/rooms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs a test on a real Redis and on the one that is inside the demo.
func each(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Run("redis-server", func(t *testing.T) { test(t, affinitytest.StartRedis(t).Client()) })
	t.Run("embedded", func(t *testing.T) {
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { rdb.Close() })
		test(t, rdb)
	})
}

func say(t *testing.T, r *rooms.Rooms, key string) string {
	t.Helper()
	id, err := r.Append(t.Context(), "lobby", rooms.Message{Key: key, UID: "u", Name: "Ada", Text: "text of " + key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func after(t *testing.T, r *rooms.Rooms, id string) rooms.Page {
	t.Helper()
	p, err := r.After(t.Context(), "lobby", id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func keys(list []rooms.Message) string {
	var all []string
	for _, m := range list {
		all = append(all, m.Key)
	}
	return strings.Join(all, " ")
}

func TestNumbersHaveNoGaps(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{Messages: 1000})
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { say(t, r, fmt.Sprintf("k%d", i)) })
		}
		all.Wait()
		page := after(t, r, "")
		if len(page.Messages) != 20 || !page.Reset {
			t.Fatalf("%d messages, reset %v", len(page.Messages), page.Reset)
		}
		first, _, _ := rooms.Position(page.Messages[0].ID)
		for i, m := range page.Messages {
			began, number, ok := rooms.Position(m.ID)
			if !ok || began != first || number != int64(i+1) {
				t.Errorf("message %d has id %s", i, m.ID)
			}
			if m.Text != "text of "+m.Key {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestOneKeyIsHeardOnce(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{})
		first := say(t, r, "a")
		say(t, r, "b")
		if again := say(t, r, "a"); again != first {
			t.Errorf("%s is not %s", again, first)
		}
		if got := keys(after(t, r, "").Messages); got != "a b" {
			t.Errorf("the log holds %q", got)
		}
	})
}

func TestMissedMessages(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{})
		var ids []string
		for i := range 250 {
			ids = append(ids, say(t, r, fmt.Sprintf("k%d", i)))
		}
		var got []rooms.Message
		for last := ids[9]; ; last = got[len(got)-1].ID {
			page := after(t, r, last)
			if page.Reset {
				t.Fatal("a known id was not known")
			}
			if got = append(got, page.Messages...); !page.More {
				break
			}
		}
		if len(got) != 240 || got[0].Key != "k10" || got[239].Key != "k249" {
			t.Errorf("%d messages, from %s to %s", len(got), got[0].Key, got[len(got)-1].Key)
		}
		page, err := r.Before(t.Context(), "lobby", ids[150])
		if err != nil || len(page.Messages) != 100 || page.Messages[0].Key != "k50" || page.Messages[99].Key != "k149" || !page.More {
			t.Errorf("%d messages before, more %v, %v", len(page.Messages), page.More, err)
		}
		if page := after(t, r, ids[249]); len(page.Messages) != 0 || page.More || page.Reset {
			t.Errorf("behind the end: %+v", page)
		}
	})
}

func TestAnotherLog(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{})
		say(t, r, "a")
		for name, id := range map[string]string{"another beginning": "17-1", "a number to come": strings.Replace(say(t, r, "b"), "-2", "-3", 1), "nonsense": "x"} {
			if page := after(t, r, id); !page.Reset || keys(page.Messages) != "a b" {
				t.Errorf("%s: reset %v, %q", name, page.Reset, keys(page.Messages))
			}
		}
		if err := rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if page := after(t, r, "17-1"); !page.Reset || len(page.Messages) != 0 {
			t.Errorf("an empty log: %+v", page)
		}
	})
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{Messages: 5, Images: 2})
		picture := bytes.Repeat([]byte{0, 1, 2, 0xff, '\r', '\n'}, 50_000)
		for i := range 8 {
			m := rooms.Message{Key: fmt.Sprintf("k%d", i), Image: &rooms.Image{Type: "image/png", Size: len(picture)}}
			if _, err := r.Append(t.Context(), "lobby", m, picture); err != nil {
				t.Fatal(err)
			}
		}
		page := after(t, r, "")
		if got := keys(page.Messages); got != "k3 k4 k5 k6 k7" {
			t.Errorf("the log holds %q", got)
		}
		if _, number, _ := rooms.Position(page.Messages[0].ID); number != 4 {
			t.Errorf("numbers begin anew: %s", page.Messages[0].ID)
		}
		for key, want := range map[string][]byte{"k5": nil, "k6": picture, "k7": picture} {
			if got, err := r.Image(t.Context(), "lobby", key); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
		}
		for _, key := range rdb.Keys(t.Context(), "demo:{lobby}:*").Val() {
			if rdb.TTL(t.Context(), key).Val() <= 0 {
				t.Errorf("%s is kept for ever", key)
			}
		}
	})
}

func TestWhoHasRead(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{})
		var ids []string
		for i := range 12 {
			ids = append(ids, say(t, r, fmt.Sprint(i)))
		}
		for uid, i := range map[string]int{"ada": 11, "bob": 9, "eve": 2} {
			if err := r.Read(t.Context(), "lobby", uid, ids[i]); err != nil {
				t.Fatal(err)
			}
		}
		want := []rooms.Reader{{UID: "ada", ID: ids[11]}, {UID: "bob", ID: ids[9]}}
		if got := after(t, r, "").Read; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%v, not %v", got, want)
		}
	})
}

func TestWhoIsHere(t *testing.T) {
	each(t, func(t *testing.T, rdb *redis.Client) {
		r := rooms.New(rdb, rooms.Options{Present: time.Hour})
		ada := rooms.Member{Socket: "s1", Room: "lobby", UID: "ada", Name: "Ada", Node: "n1"}
		bob := rooms.Member{Socket: "s2", Room: "lobby", UID: "bob", Name: "bob", Node: "n2"}
		eve := rooms.Member{Socket: "s3", Room: "attic", UID: "eve", Name: "Eve", Node: "n2"}
		if err := r.Report(t.Context(), rooms.Node{Name: "n2", Kind: "go"}, []rooms.Member{bob, eve}); err != nil {
			t.Fatal(err)
		}
		if err := r.Report(t.Context(), rooms.Node{Name: "n1", Kind: "js"}, []rooms.Member{ada}); err != nil {
			t.Fatal(err)
		}
		if got := here(t, r); got != "attic: Eve@n2; lobby: Ada@n1 bob@n2" {
			t.Error(got)
		}
		if err := r.Leave(t.Context(), []rooms.Member{bob}); err != nil {
			t.Fatal(err)
		}
		if got := here(t, r); got != "attic: Eve@n2; lobby: Ada@n1" {
			t.Error(got)
		}
		nodes, err := r.Nodes(t.Context())
		if err != nil || len(nodes) != 2 || nodes[0].Name != "n1" || nodes[0].Kind != "js" {
			t.Errorf("%v %v", nodes, err)
		}
		// Who was reported too long ago is gone, and so is what was kept of it.
		if got := here(t, rooms.New(rdb, rooms.Options{Present: time.Nanosecond})); got != "attic:; lobby:" {
			t.Error(got)
		}
		if n := rdb.HLen(t.Context(), "demo:{lobby}:here").Val(); n != 0 {
			t.Errorf("%d members are still kept", n)
		}
	})
}

func here(t *testing.T, r *rooms.Rooms) string {
	t.Helper()
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, room := range list {
		text := room.Name + ":"
		for _, m := range room.Members {
			text += " " + m.Name + "@" + m.Node
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestRedisAwayIsAnError(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	r := rooms.New(rdb, rooms.Options{})
	_, err := r.Append(t.Context(), "lobby", rooms.Message{Key: "k"}, nil)
	if err == nil {
		t.Error("appended to nothing")
	}
	if _, err := r.After(t.Context(), "lobby", ""); err == nil {
		t.Error("read from nothing")
	}
	if _, err := r.List(t.Context()); err == nil {
		t.Error("listed nothing")
	}
}
