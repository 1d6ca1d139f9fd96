package replica

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reserve is how many descriptors are kept for what is not a client: listeners, Redis, the admin address (about half of them), dials
// that overlap.
const reserve = 256

// few is a number of clients for which nobody needs a gateway.
const few = 500

// connections returns how many clients there may be, as many as the configuration says, but no more than the process may open
// descriptors for, since each client needs one and another one for its node; and how many descriptors they may use when live
// sessions come above that. The limit of descriptors can change while the process runs, and is logged when it is first seen.
func (r *Replica) connections() (n, descriptors int, err error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, 0, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	kept := reserve
	for _, c := range r.cfg.Load().Clusters {
		if len(c.Static) > 0 {
			kept += 2 * mostFiles
		}
	}
	descriptors = max(2, int(min(files.Cur, 1<<30))-kept)
	n = descriptors / 2
	n -= n / 9 // the rest is for live sessions
	configured := r.cfg.Load().Limits.Connections
	if uint64(files.Cur) != r.descriptors {
		r.descriptors = uint64(files.Cur)
		if n < few {
			r.log.Warn("the limit of descriptors allows few clients; raise it (ulimit -n)", "descriptors", files.Cur, "clients", n)
		}
		if configured > n {
			r.log.Warn("limits.connections is more than the limit of descriptors allows (ulimit -n)",
				"configured", configured, "allowed", n, "descriptors", files.Cur)
		}
	}
	r.limitedBy.Store(uint64(files.Cur))
	if configured > 0 && configured <= n {
		n = configured
		r.limitedBy.Store(0)
	}
	return n, descriptors, nil
}

// setConnections tells the gateway how many clients there may be.
func (r *Replica) setConnections() error {
	n, descriptors, err := r.connections()
	if err == nil {
		r.gateway.SetConnections(n, descriptors)
	}
	return err
}
