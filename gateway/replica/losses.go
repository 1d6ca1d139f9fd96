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
	// fewestSlow is how many are within slowTime, where Redis loses one now and then. When none is lost for as long, that is over.
	fewestSlow = 5
	slowTime   = 5 * time.Minute
	lossQuiet  = time.Hour

	faultLost = "lost_bindings"
)

// losses are the bindings of a cluster that Redis has lost before they expired.
type losses struct {
	log   *slog.Logger
	fault func(text string) // counts it
	quiet notice.Limiter[struct{}]

	n      atomic.Int64 // since the last tick
	at     atomic.Int64 // when the last one was lost, in ns since 1970; 0: none was
	lost   int64        // since the first of them
	since  time.Time    // when that was
	until  time.Time    // when the last one was seen
	faulty time.Time    // when the fault was counted last; zero: it is not one yet
	told   bool         // in the log
}

func newLosses(log *slog.Logger, fault func(text string)) *losses {
	return &losses{log: log, fault: fault, quiet: notice.Limiter[struct{}]{Pause: lossQuiet}}
}

func (l *losses) add(n int) {
	l.at.Store(time.Now().UnixNano())
	l.n.Add(int64(n))
}

// lately reports whether bindings have been lost within slowTime.
func (l *losses) lately(now time.Time) bool {
	at := l.at.Load()
	return at != 0 && now.UnixNano()-at < int64(slowTime)
}

// tick is called each second. It tells how many there were when no more come, or when they have come for a while, and when that is over.
func (l *losses) tick(now time.Time) {
	n := l.n.Swap(0)
	if n > 0 {
		if l.lost == 0 {
			l.since = now
		}
		l.lost += n
		l.until = now
	}
	switch lasts := now.Sub(l.since); {
	case l.lost == 0:
	case !l.faulty.IsZero():
		l.goOn(n, now)
	case lasts < lossTime && n > 0: // more may come
	case l.lost >= fewestLost && l.until.Sub(l.since) < lossTime, l.lost >= fewestSlow:
		l.tell(now)
	case lasts >= slowTime:
		l.lost = 0
	}
}

// goOn counts losses that go on, and tells when they are over.
func (l *losses) goOn(n int64, now time.Time) {
	switch {
	case n > 0 && now.Sub(l.faulty) >= lossTime:
		l.tell(now)
	case now.Sub(l.until) < slowTime:
	default:
		if l.told {
			l.log.Info("redis loses no bindings any more", "lost", l.lost, "for", now.Sub(l.until).Round(time.Second).String())
		}
		l.lost, l.faulty, l.told = 0, time.Time{}, false
	}
}

func (l *losses) tell(now time.Time) {
	l.faulty = now
	l.fault("Redis has lost bindings that had not expired, which are written again: is its maxmemory-policy noeviction? Or was it emptied, or restarted without its data?")
	if l.quiet.Due(struct{}{}) {
		l.told = true
		l.log.Warn("redis has lost bindings that had not expired: is its maxmemory-policy noeviction? or was it emptied, or restarted without its data?", "lost", l.lost)
	}
}
