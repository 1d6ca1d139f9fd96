package replica

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/gateway"
)

// reserve is how many descriptors are kept for what is not a client: listeners, Redis, the admin address, dials that
// overlap.
const reserve = 256

// few is a number of clients for which nobody needs a gateway.
const few = 500

// limits takes the limits from the configuration. What the process may open decides how many clients there can be at
// most: each needs a descriptor and another one for its node.
func (r *Replica) limits() (gateway.Limits, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return gateway.Limits{}, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	most := int(min(files.Cur, 1<<30))
	most = max(1, (most-reserve)/2)
	most -= most / 17 // for what is served above the limit: see gateway.Overflow
	l := r.cfg.Limits
	if most < few {
		r.log.Warn("the limit of descriptors allows few clients; raise it (ulimit -n)", "descriptors", files.Cur, "clients", most)
	}
	switch {
	case l.Connections == 0:
		l.Connections = most
	case l.Connections > most:
		r.log.Warn("limits.connections is more than the limit of descriptors allows (ulimit -n)",
			"configured", l.Connections, "allowed", most, "descriptors", files.Cur)
		l.Connections = most
	}
	return gateway.Limits{
		Connections:   l.Connections,
		HeaderTime:    l.HeaderTime,
		BodyTime:      l.BodyTime,
		BodyRate:      l.BodyRate,
		IdleTime:      l.IdleTime,
		WriteTime:     l.WriteTime,
		HandshakeTime: l.HandshakeTime,
		QueueTime:     l.QueueTime,
		Queue:         l.Queue,
	}, nil
}
