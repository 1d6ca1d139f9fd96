package affinity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

const unknownMaster = "the Sentinels that answer know no master called main; mend the name in its URL"

// TestSentinelsThatDoNotKnowTheMaster has Sentinels forget a master while it is used, and learn of it again.
func TestSentinelsThatDoNotKnowTheMaster(t *testing.T) {
	t.Parallel()
	master := affinitytest.StartRedis(t)
	affinitytest.StartReplica(t, master)
	sentinel := affinitytest.StartSentinels(t, master, "other", 1)[0]
	watch := func() { sentinel.Do("SENTINEL", "MONITOR", "main", "127.0.0.1", master.Port(), 1) }
	r := newReplica(t, "redis+sentinel://"+sentinel.Addr()+"/main")
	s := affinity.NewRedis(open(t, "redis+sentinel://"+sentinel.Addr()+"/main"), "p:")
	for name, do := range operations(s) {
		affinitytest.Eventually(t, "a refusal of "+name, func() bool {
			err := do(t.Context())
			if !errors.Is(err, affinity.ErrUnavailable) {
				t.Fatalf("%s = %v", name, err)
			}
			return errors.Is(err, affinity.ErrDenied) && strings.Contains(err.Error(), unknownMaster)
		})
	}
	affinitytest.Eventually(t, "the reason", func() bool {
		err := r.Ready()
		return errors.Is(err, affinity.ErrDenied) && strings.Contains(err.Error(), unknownMaster)
	})
	watch()
	affinitytest.Eventually(t, "a replica that is ready", func() bool { return r.Ready() == nil })
	sentinel.Do("SENTINEL", "REMOVE", "main")
	affinitytest.Eventually(t, "the refusal", func() bool {
		master.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		fault := r.Fault()
		return errors.Is(fault, affinity.ErrDenied) && strings.Contains(fault.Error(), unknownMaster)
	})
	watch()
	r.settle(t)
}
