package control_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
	"github.com/sidway/sidway/gateway/control"
)

// lacks reports whether these commands are refused to a Board, and whether it is deaf by that.
func lacks(b *control.Board, deaf bool, commands ...string) func() bool {
	return func() bool {
		r := b.Refusal()
		return r != nil && r.Deaf == deaf && slices.Equal(r.Commands, commands)
	}
}

// A replica that may not tell of itself, or not hear others, knows it, takes no word of Redis that it does not know a session, and is well when it may.
func TestRefusedRights(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	user := func(words ...any) { server.Do(append([]any{"ACL", "SETUSER", "default"}, words...)...) }
	user("-hset")
	a, _ := peered(t, open(t, server), "a")
	b, _ := peered(t, open(t, server), "c")
	may := func(b *control.Board) bool {
		_, may := b.Missing()
		return may
	}
	well := func() bool {
		return a.Refusal() == nil && b.Refusal() == nil && len(a.Peers()) == 1 && len(b.Peers()) == 1 && !may(a) && !may(b)
	}
	affinitytest.Eventually(t, "both know that they are not heard", func() bool {
		return lacks(a, true, "HSET")() && lacks(b, true, "HSET")() && may(a) && may(b)
	})
	if text := a.Refusal().Error(); !strings.HasPrefix(text, "Redis refuses this replica HSET, so that replicas do not hear each other, nor of drains and counts: NOPERM ") {
		t.Error(text)
	}
	user("+hset")
	affinitytest.Eventually(t, "they hear each other", well)

	user("-hset")
	affinitytest.Eventually(t, "both know that they are missed", func() bool {
		now := time.Now()
		return a.Missed().Before(now) && b.Missed().Before(now) && lacks(a, true, "HSET")()
	})
	user("+hset")
	affinitytest.Eventually(t, "they hear each other again", well)

	user("resetkeys", "~sidway:chat:*")
	affinitytest.Eventually(t, "the key of replicas is refused", func() bool {
		r := a.Refusal()
		return r != nil && r.Deaf && slices.Contains(r.Commands, "HSET") && slices.Contains(r.Commands, "HGETALL") && may(a)
	})
	user("allkeys")
	affinitytest.Eventually(t, "the key is theirs again", well)

	user("-rpush", "-spop")
	affinitytest.Eventually(t, "what nobody needs to be heard is refused", lacks(a, false, "RPUSH", "SPOP"))
	if may(a) {
		t.Error("it is said to be deaf")
	}
	user("+rpush", "+spop", "-multi")
	affinitytest.Eventually(t, "none is missing that was used", func() bool { return a.Refusal() == nil || lacks(a, false, "MULTI EXEC")() })
	err := a.Drain(context.Background(), "chat", "n1", 0)
	if err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("drained without transactions: %v", err)
	}
	affinitytest.Eventually(t, "transactions are refused", lacks(a, false, "MULTI EXEC"))
	user("+multi", "-hset", "-hincrby")
	err = a.Drain(context.Background(), "chat", "n1", 0)
	if err == nil || !strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), "EXECABORT") {
		t.Errorf("drained without rights: %v", err)
	}
	user("+@all")
	affinitytest.Eventually(t, "all is well", well)
}

// What another Redis has refused is of no account.
func TestRightsInAnotherRedis(t *testing.T) {
	t.Parallel()
	server, other := affinitytest.StartRedis(t), affinitytest.StartRedis(t)
	server.Do("ACL", "SETUSER", "default", "-sadd")
	b, _ := peered(t, open(t, server), "a")
	affinitytest.Eventually(t, "a right is missing", lacks(b, false, "SADD"))
	b.Use(open(t, other), "sidway:")
	affinitytest.Eventually(t, "none is", func() bool { return b.Refusal() == nil && other.Calls("sadd") > 0 })
	if r := b.Refusal(); r != nil {
		t.Error(r)
	}
}

// A replica whose user is refused knows that it will be missed, and which others there are.
func TestRefusedUser(t *testing.T) {
	t.Parallel()
	server := affinitytest.StartRedis(t)
	server.Do("ACL", "SETUSER", "sidway", "on", ">hush", "allkeys", "+@all")
	client, err := affinity.Open("redis://sidway:hush@" + server.Addr() + "/0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	a, endA := peered(t, client, "a")
	b, _ := peered(t, open(t, server), "c")
	affinitytest.Eventually(t, "they know each other", func() bool { return len(a.Peers()) == 1 && len(b.Peers()) == 1 })
	server.Do("ACL", "DELUSER", "sidway")
	affinitytest.Eventually(t, "it is missed, and knows it", func() bool {
		return slices.Equal(missing(b), []string{"a"}) && !a.Missed().IsZero() && a.Missed().Before(time.Now())
	})
	if len(a.Peers()) != 1 || a.Refusal() != nil {
		t.Errorf("%d others, and %v", len(a.Peers()), a.Refusal())
	}
	endA()
}
