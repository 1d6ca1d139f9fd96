package affinity_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// states records what OnState is told.
type states struct {
	mu     sync.Mutex
	denied []string // the causes that are refusals
	back   int      // after the first of them, states in which the store is used
}

func (s *states) note(to affinity.State, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to != affinity.Down && len(s.denied) > 0 {
		s.back++
	}
	if errors.Is(cause, affinity.ErrDenied) {
		s.denied = append(s.denied, cause.Error())
	}
}

func (s *states) seen() (back int, denied string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back, strings.Join(s.denied, "\n")
}

const (
	sidwayUser = "ACL SETUSER sidway on >hush ~* +get +set +del +pttl +incrby +pexpire +info"
	mendUser   = "mend the user or the password in its URL"
)

// TestDeniedAfterStart has a Redis begin to refuse a replica that it served, until it is mended.
func TestDeniedAfterStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deny string // a command; without it the server is restarted
		says []string
	}{
		"a right is lost":            {"ACL SETUSER sidway -get", []string{"NOPERM", "let the user have " + affinity.Rights}},
		"the right to probe is lost": {"ACL SETUSER sidway -incrby", []string{"NOPERM", "'incrby'"}},
		"the user is lost":           {"ACL DELUSER sidway", []string{"WRONGPASS", mendUser}},
		"restarted without the user": {"", []string{"WRONGPASS", mendUser}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := affinitytest.StartRedis(t)
			command(server, sidwayUser)
			var told states
			store := affinity.NewRedis(open(t, "redis://sidway:hush@"+server.Addr()), "p:")
			r := replica{running(t, affinity.NewCached(affinity.NewMemory(100), store, affinity.CachedOptions{OnState: told.note})), nil}
			affinitytest.Eventually(t, "a store in use", func() bool { return r.Fault() == nil })
			if command(server, c.deny); c.deny == "" {
				server.Restart()
			}
			affinitytest.Eventually(t, "the refusal", func() bool {
				_, _ = r.Lookup(t.Context(), "nobody")
				_, denied := told.seen()
				return denied != ""
			})
			r.bindMany(t, "during", 10)
			refusals := errorsOf(server)
			affinitytest.Eventually(t, "three Probes that are refused", func() bool {
				back, _ := told.seen()
				return back > 0 || errorsOf(server) >= refusals+3
			})
			back, denied := told.seen()
			if fault := r.Fault(); !errors.Is(fault, affinity.ErrDenied) || back > 0 {
				t.Errorf("%d times it seemed to be back, and the fault is %v", back, fault)
			}
			for _, words := range c.says {
				if !strings.Contains(denied, words) || strings.Contains(denied, "hush") {
					t.Errorf("%q is not in %s, or the password is", words, denied)
				}
			}
			command(server, sidwayUser)
			r.settle(t)
			if r.Fault() != nil || r.Ready() != nil {
				t.Errorf("%v, %v", r.Fault(), r.Ready())
			}
		})
	}
}

// errorsOf counts the answers of NOPERM and WRONGPASS that a server has given since it started.
func errorsOf(r *affinitytest.Redis) int {
	sum := 0
	for _, code := range []string{"NOPERM", "WRONGPASS"} {
		sum += r.Errors(code)
	}
	return sum
}

// command runs a command whose arguments hold no blanks, none where it is empty.
func command(r *affinitytest.Redis, line string) {
	var args []any
	for _, a := range strings.Fields(line) {
		args = append(args, a)
	}
	if len(args) > 0 {
		r.Do(args...)
	}
}
