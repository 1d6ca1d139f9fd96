package replica

import (
	"fmt"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/control"
)

const faultRights = "redis_rights"

// tellRights tells of rights in Redis that this replica lacks beside those to bindings, and when it has them. It is called each second.
func (r *Replica) tellRights() {
	was, now := r.lacks, ""
	if why := r.board.Refusal(); why != nil {
		now = withAdvice(why).Error()
		r.metrics.SetupFault("", faultRights, "", now)
		switch {
		case now == was:
		case why.Deaf:
			r.log.Error("redis refuses this replica a right without which replicas do not hear each other", "error", now)
		default:
			r.log.Error("redis refuses this replica a right without which drains, counts, moves or traces may not reach the others", "error", now)
		}
	} else if was != "" {
		r.log.Info("redis refuses this replica none of the rights any more that replicas need to work together")
		r.event("store", "", "", "Redis refuses this replica none of the rights any more that replicas need to work together")
	}
	r.lacks = now
}

// refusal is what /readyz says of such rights.
func (r *Replica) refusal() error {
	if why := r.board.Refusal(); why != nil {
		return withAdvice(why)
	}
	return nil
}

func withAdvice(why *control.Refusal) error { return fmt.Errorf("%w; %s", why, affinity.GrantRights) }
