package replica

import (
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"

	"github.com/sidway/sidway/gateway/quota"
)

const (
	// memoryShare is the part of the memory that its cgroup allows that Go tries to keep within: the rest is for what Go does not count.
	memoryShare = 0.9
	// liveShare is the part of Go's own limit that what lives may take before no session is begun any more: above that the collector
	// works more and more, and live sessions suffer.
	liveShare = 0.8
)

// limitMemory has Go keep within what the cgroup allows. GOMEMLIMIT in the environment wins, as it does in Go.
func (r *Replica) limitMemory() {
	allowed := quota.Memory(r.system)
	if allowed > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memoryShare * float64(allowed)))
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		r.log.Info("memory", "allowed", allowed, "gomemlimit", limit)
	}
}

// watchMemory has sessions begin only while there is memory for them.
func (r *Replica) watchMemory() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	limit := debug.SetMemoryLimit(-1)
	short := float64(live[0].Value.Uint64()) > liveShare*float64(limit)
	if short == r.short {
		return
	}
	r.short = short
	r.gateway.SetShort(short)
	if short {
		r.log.Error("memory runs short, so no session is begun here until there is more: give the replica more, or lower limits.connections or affinity.cache", "live", live[0].Value.Uint64(), "gomemlimit", limit)
	} else {
		r.log.Info("there is memory for sessions again", "live", live[0].Value.Uint64(), "gomemlimit", limit)
	}
}
