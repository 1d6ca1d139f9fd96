package affinity_test

import (
	"errors"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// An error names its cause, once, also where the store is not asked because it is known to be down.
func TestErrorsNameTheirCauseOnce(t *testing.T) {
	t.Parallel()
	r := newReplica(t, "redis://127.0.0.1:1")
	const cause = "Redis is down: dial tcp 127.0.0.1:1: connect: connection refused"
	affinitytest.Eventually(t, "a store that is down", r.Down)
	_, unknown := r.Lookup(t.Context(), "elsewhere")
	for op, err := range map[string]error{
		"Lookup": unknown,
		"Bind":   r.Bind(t.Context(), "sid", affinitytest.Example),
		"Unbind": r.Unbind(t.Context(), "sid"),
		"Fault":  r.Fault(),
	} {
		if err == nil || err.Error() != "affinity: try: "+cause || !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if err := affinity.NewRedis(open(t, "redis://127.0.0.1:1"), "p:").Bind(t.Context(), "sid", affinitytest.Example); err == nil || err.Error() != "affinity: bind: "+cause {
		t.Error(err)
	}
	for _, err := range []error{affinity.ErrLate, affinity.ErrBusy, affinity.ErrReadOnly, affinity.ErrDenied} {
		if !errors.Is(err, affinity.ErrUnavailable) {
			t.Errorf("%v is no ErrUnavailable", err)
		}
	}
}
