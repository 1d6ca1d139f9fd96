package recovery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/recovery"
)

// What polls bring is remembered of the last of them, and an answer that nobody could read until it is one of these no more.
func TestHeard(t *testing.T) {
	s, c, _ := open(t)
	ctx := t.Context()
	hear := func(read bool, offsets ...string) {
		t.Helper()
		if err := s.Hear(ctx, "sid", read, offsets, nil, nil); err != nil {
			t.Error(err)
		}
	}
	heard := func(whole bool, first string, count int) {
		t.Helper()
		h, err := s.Heard(ctx, "sid")
		if err != nil || h.Whole != whole || len(h.Offsets) != count || count > 0 && h.Offsets[0] != first {
			t.Errorf("%+v, %v", h, err)
		}
	}
	heard(true, "", 0)
	hear(true)
	heard(true, "", 0)
	hear(true, "1-0", "1-1")
	hear(false)
	heard(false, "1-0", 2)
	for i := range 70 {
		hear(true, fmt.Sprintf("2-%d", i))
	}
	heard(true, "2-6", 64)
	for _, key := range c.Keys(ctx, "*").Val() {
		if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 || ttl > 10*time.Minute {
			t.Errorf("%s is kept for %v", key, ttl)
		}
	}
	if err := s.ForgetNotes(ctx, "sid"); err != nil {
		t.Error(err)
	}
	heard(true, "", 0)
}

// An acknowledgement that is outdated is taken once, and not any more where the next node has asked for one of that name.
func TestOutdated(t *testing.T) {
	s, _, _ := open(t)
	ctx, began := t.Context(), time.Now()
	names := strings.Fields("a b c")
	if err := s.Hear(ctx, "sid", true, nil, names, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Outdate(ctx, "sid", names); err != nil {
		t.Fatal(err)
	}
	if err := s.Hear(ctx, "sid", true, nil, []string{"b"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{{"a", "c"}, nil} {
		if got, err := s.TakeOutdated(ctx, "sid", names); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	owed, claimed, err := s.Claim(ctx, "sid", began)
	if err != nil || !claimed || !slices.Equal(owed, []string{"b"}) {
		t.Errorf("owed %q, %v", owed, err)
	}
}

// What one session may have Redis keep is bounded, and what is beyond that has it stay where it is.
func TestHoards(t *testing.T) {
	s, c, _ := open(t)
	ctx := t.Context()
	for n := range 10 {
		var asked []string
		for i := range 200 {
			asked = append(asked, fmt.Sprintf("node %d /", 200*n+i))
		}
		if err := s.Owe(ctx, "sid", asked, nil); err != nil {
			t.Fatal(err)
		}
		if n := c.HLen(ctx, "sidway-way:{sid}:acks").Val(); n > 456 {
			t.Fatalf("%d acknowledgements are kept", n)
		}
	}
	owed, claimed, err := s.Claim(ctx, "sid", time.Now())
	if err != nil || !claimed || !slices.Contains(owed, recovery.TooMany) {
		t.Errorf("%d owed, claimed %v, %v", len(owed), claimed, err)
	}
	for i := range 30 {
		if err := s.Note(ctx, "sid", map[string]string{fmt.Sprintf("client /%d", i): strings.Repeat("x", 4000)}); err != nil {
			t.Fatal(err)
		}
		if n := c.MemoryUsage(ctx, "sidway-notes:sid").Val(); n > 48<<10 {
			t.Fatalf("%d bytes of notes are kept", n)
		}
	}
	if notes, err := s.Notes(ctx, "sid"); err != nil || len(notes) > 0 {
		t.Errorf("%d notes, %v", len(notes), err)
	}
	if err := s.ForgetNotes(ctx, "sid"); err != nil || len(c.Keys(ctx, "sidway-notes:*").Val()) > 0 || c.Exists(ctx, "sidway-way:{sid}:acks").Val() > 0 {
		t.Errorf("something is left: %v, %v", c.Keys(ctx, "sidway-*").Val(), err)
	}
}
