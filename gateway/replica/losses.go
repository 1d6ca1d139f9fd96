package replica

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

const (
	// fewestLost is how many bindings are lost within lossTime before it is told: a client that ends its session while a poll of
	// it begins at another replica looks like one.
	fewestLost = 3
	lossTime   = 10 * time.Second
	lossQuiet  = time.Hour

	faultLost = "lost_bindings"
)

// losses are the bindings of a cluster that Redis has lost before they expired.
type losses struct {
	log   *slog.Logger
	fault func(text string) // counts it
	told  notice.Limiter[struct{}]

	n     atomic.Int64 // that nobody was told of
	seen  int64        // at the last tick
	since time.Time    // when the first of them was seen
}

func newLosses(log *slog.Logger, fault func(text string)) *losses {
	return &losses{log: log, fault: fault, told: notice.Limiter[struct{}]{Pause: lossQuiet}}
}

func (l *losses) add(n int) { l.n.Add(int64(n)) }

// tick is called each second. It tells how many there were when no more come, or when they have come for a while.
func (l *losses) tick(now time.Time) {
	n := l.n.Load()
	switch {
	case n == 0:
		return
	case l.since.IsZero():
		l.since = now
	}
	if n != l.seen && now.Sub(l.since) < lossTime {
		l.seen = n
		return
	}
	l.n.Add(-n)
	l.seen, l.since = 0, time.Time{}
	if n < fewestLost {
		return
	}
	l.fault("Redis has lost bindings that had not expired, which are written again: is its maxmemory-policy noeviction? Or was it emptied, or restarted without its data?")
	if l.told.Due(struct{}{}) {
		l.log.Warn("redis has lost bindings that had not expired: is its maxmemory-policy noeviction? or was it emptied, or restarted without its data?", "lost", n)
	}
}
