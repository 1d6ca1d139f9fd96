package replica

import (
	"context"
	"sync"
	"time"
)

// endSlack is for what is left to do when shutdown.deadline is over.
const endSlack = 5 * time.Second

// end stops in the order that loses the least: balancers are told and given time to notice, unless at once, then no connection
// is accepted, and requests in flight and tunnels end side by side, polls by themselves and tunnels in waves. That no client is
// connected is no reason to hurry: the polls of sessions that are at other replicas may come here next.
func (r *Replica) end(atOnce bool) {
	began := time.Now()
	r.stopping.Store(true)
	s := r.cfg.Load().Shutdown
	if atOnce {
		s.Notice = 0
	}
	// The service manager's own limit for the end need not be told of shutdown.deadline.
	r.tell("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%d", (s.Notice + s.Deadline + endSlack).Microseconds())
	r.log.Info("stopping", "notice", s.Notice, "deadline", s.Deadline, "tunnels", r.tunnels.Len())
	time.Sleep(s.Notice)

	deadline, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	r.removeSockets()
	r.gateway.Stop()
	defer r.releasePolls(deadline, s.Waves, s.Deadline/2)()
	// Half of the deadline for the waves leaves clients of the last one as long to take their leave.
	if err := r.tunnels.Shutdown(deadline, s.Waves, s.Deadline/2); err != nil {
		r.log.Warn("tunnels were cut at the deadline", "error", err)
	}
	r.gateway.Drain(deadline)
	r.log.Info("stopped", "took", time.Since(began))
}

// releasePolls has nodes answer the polls that wait here, in waves over some time. What it returns ends that, and waits for its end.
func (r *Replica) releasePolls(ctx context.Context, waves int, over time.Duration) (end func()) {
	releasing, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { r.gateway.ReleasePolls(releasing, waves, over) })
	return func() {
		stop()
		work.Wait()
	}
}
