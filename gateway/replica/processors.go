package replica

import (
	"os"
	"runtime"
	"strconv"

	"github.com/sidway/sidway/gateway/quota"
)

// processorsEvery is after how many seconds a replica looks again how many processors it has.
const processorsEvery = 5

// countProcessors returns how many processors this process may use. GOMAXPROCS in the environment wins, as it does in Go.
func (r *Replica) countProcessors() int {
	if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && n > 0 {
		return n
	}
	return quota.Processors(r.system)
}

// shareProcessors lets each loop keep a processor, in Go's sense, where as many are left to the rest of the program as there are
// real ones. The number of loops stays what it was at start: where a limit came to be lower than that, the loops share with all
// others, and Go follows the limit by itself.
func (r *Replica) shareProcessors() {
	n := r.countProcessors()
	loops, was := len(r.loops), r.busy
	busy := r.cfg.Load().Runtime.BusyLoops && n >= loops
	if n == r.processors && busy == was {
		return
	}
	r.processors, r.busy = n, busy
	if r.busy {
		runtime.GOMAXPROCS(loops + n)
	}
	for _, l := range r.loops {
		l.SetBusy(r.busy)
	}
	if was && !r.busy {
		runtime.SetDefaultGOMAXPROCS()
	}
	r.log.Info("processors", "allowed", n, "loops", loops, "busy_loops", r.busy, "gomaxprocs", runtime.GOMAXPROCS(0))
}
