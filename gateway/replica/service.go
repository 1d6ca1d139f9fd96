package replica

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/sidway/sidway/gateway/loop"
)

// openAdminListener takes the admin address's socket over, or opens it.
func (r *Replica) openAdminListener(address string) (err error) {
	r.adminListen = address
	if r.adminAt != nil {
		r.adminListen = r.adminAt.Addr().String()
	} else if r.adminAt = r.handed.takeAdmin(address); r.adminAt != nil {
		return nil
	} else if r.adminAt, err = net.Listen("tcp", address); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	return nil
}

// tell tells a service manager how the replica is, if there is one.
func (r *Replica) tell(format string, args ...any) {
	if r.Notify != nil {
		r.Notify(fmt.Sprintf(format, args...))
	}
}

// tellReloading says that a reload has begun; tellServing ends it.
func (r *Replica) tellReloading() {
	if !r.stopping.Load() {
		r.tell("RELOADING=1\nSTATUS=reading the settings again")
	}
}

// tellServing says that whatever was begun, the start or a reload, is done.
func (r *Replica) tellServing(how string) {
	if r.stopping.Load() {
		return
	}
	r.tell("READY=1\nSTATUS=serving on %v, admin on %s; %s at %s", r.Addrs(), r.adminName(), how, time.Now().Format(time.TimeOnly))
}

// watchdog tells the service manager again and again that all loops go round, until ctx is done. Who is not told for long ends
// the process, so a loop that hangs does not keep its part of the clients for ever.
func (r *Replica) watchdog(ctx context.Context) {
	tick := time.NewTicker(r.Watchdog)
	defer tick.Stop()
	for {
		for _, l := range r.loops {
			p := make(pulse)
			l.Send(p)
			select {
			case <-p:
			case <-ctx.Done():
				return
			}
		}
		r.tell("WATCHDOG=1")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// pulse is closed by the loop that it is sent to.
type pulse chan struct{}

// Receive implements loop.Receiver.
func (p pulse) Receive() { close(p) }

var _ loop.Receiver = pulse(nil)
