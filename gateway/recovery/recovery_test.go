package recovery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/recovery"
)

func open(t *testing.T) (*recovery.Store, *redis.Client, *affinitytest.Redis) {
	t.Helper()
	server := affinitytest.StartRedis(t)
	return recovery.New(server.Client(), "socket.io", "sio:session:"), server.Client(), server
}

func add(t *testing.T, c *redis.Client, id string, fields ...string) {
	t.Helper()
	if err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", ID: id, Values: fields}).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestEntry(t *testing.T) {
	s, c, _ := open(t)
	first, isFirst, err := s.Entry(t.Context(), 1)
	if err != nil || isFirst || first == "" {
		t.Fatalf("of an empty stream: %q, %v, %v", first, isFirst, err)
	}
	if again, isFirst, err := s.Entry(t.Context(), 1); again != first || isFirst || err != nil {
		t.Errorf("of one with a first entry that is none: %q, %v, %v", again, isFirst, err)
	}
	c.Del(t.Context(), "socket.io")
	for _, id := range []string{"1000-0", "1000-1", "2000-0"} {
		add(t, c, id, "nsp", "/")
	}
	for until, want := range map[int64]string{999: "1000-0", 1000: "1000-1", 1999: "1000-1", 5000: "2000-0"} {
		if got, isFirst, err := s.Entry(t.Context(), until); got != want || isFirst != (until == 999) || err != nil {
			t.Errorf("until %d: %q, %v, %v; want %q", until, got, isFirst, err, want)
		}
	}
}

func TestMark(t *testing.T) {
	s, c, _ := open(t)
	id, err := s.Mark(t.Context(), "/chat", "S", "sidway:mark", "x")
	if err != nil {
		t.Fatal(err)
	}
	got := c.XRange(t.Context(), "socket.io", id, id).Val()
	want := `{"opts":{"except":[],"flags":{},"rooms":["S"]},"packet":{"data":["sidway:mark","x"],"nsp":"/chat","type":2}}`
	if len(got) != 1 || got[0].Values["data"] != want || got[0].Values["type"] != "3" || got[0].Values["uid"] != "emitter" || got[0].Values["nsp"] != "/chat" {
		t.Errorf("the entry is %v", got)
	}
}

// A session is awaited until it is written anew; one that was there and is not written is taken after a while, one that is not there never.
func TestAwait(t *testing.T) {
	s, c, server := open(t)
	ctx := t.Context()
	keep := func(pid string, ttl time.Duration) {
		if err := c.Set(ctx, "sio:session:"+pid, "x", ttl).Err(); err != nil {
			t.Error(err)
		}
	}
	await := func(patience time.Duration, before recovery.Kept, pids ...string) (time.Duration, error) {
		began := time.Now()
		err := s.Await(ctx, pids, before, patience)
		return time.Since(began), err
	}
	keep("old", time.Minute)
	before, err := s.Kept(ctx, []string{"new", "old"})
	if err != nil {
		t.Fatal(err)
	}
	if took, err := await(20*time.Millisecond, before, "new"); !errors.Is(err, recovery.ErrNotKept) || took < 20*time.Millisecond {
		t.Errorf("nobody keeps it: %v after %v", err, took)
	}
	time.AfterFunc(100*time.Millisecond, func() { keep("new", time.Minute) })
	if took, err := await(0, before, "new"); err != nil || took < 100*time.Millisecond {
		t.Errorf("it is kept late: %v after %v", err, took)
	}
	if took, err := await(0, before, "new", "old"); err != nil || took < 50*time.Millisecond {
		t.Errorf("one was there before: %v after %v", err, took)
	}
	keep("old", 2*time.Minute) // its node keeps it alive
	if took, err := await(0, before, "new", "old"); err != nil || took < 500*time.Millisecond {
		t.Errorf("one was written while it lived: %v after %v", err, took)
	}
	keep("old", 10*time.Second)
	if _, err := await(0, before, "new", "old"); err != nil {
		t.Errorf("both are written: %v", err)
	}
	server.Pause()
	time.AfterFunc(100*time.Millisecond, server.Resume)
	if _, err := await(0, before, "new", "old"); err != nil {
		t.Errorf("Redis was away for a moment: %v", err)
	}
	server.Kill()
	if _, err := await(20*time.Millisecond, before, "new"); err == nil || errors.Is(err, recovery.ErrNotKept) {
		t.Errorf("Redis is away: %v", err)
	}
}

func TestNotes(t *testing.T) {
	s, c, _ := open(t)
	ctx := context.Background()
	for _, notes := range []map[string]string{{"client /": "40"}, {"node /": "40{}"}} {
		if err := s.Note(ctx, "sid", notes); err != nil {
			t.Fatal(err)
		}
	}
	if ttl := c.PTTL(ctx, "sidway-notes:sid").Val(); ttl <= 0 || ttl > 10*time.Minute {
		t.Errorf("kept for %v", ttl)
	}
	if got, err := s.Notes(ctx, "sid"); err != nil || len(got) != 2 || got["node /"] != "40{}" {
		t.Errorf("%v, %v", got, err)
	}
	c.PExpire(ctx, "sidway-notes:sid", time.Minute)
	if err := s.KeepNotes(ctx, "sid"); err != nil || c.PTTL(ctx, "sidway-notes:sid").Val() < 9*time.Minute {
		t.Errorf("%v; kept for %v", err, c.PTTL(ctx, "sidway-notes:sid").Val())
	}
	if err := s.ForgetNotes(ctx, "sid"); err != nil {
		t.Error(err)
	}
	if got, err := s.Notes(ctx, "sid"); err != nil || len(got) != 0 {
		t.Errorf("forgotten: %v, %v", got, err)
	}
}
