package gateway

import (
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

const (
	// noticePause is how long a notice about the same thing is not repeated.
	noticePause = time.Hour
	// mostNotices bounds how many different ones of a cause are logged in that time.
	mostNotices = 16
)

// notices keeps warnings that each of thousands of requests could give down to one.
type notices struct{ byCause sync.Map }

// subject is what a warning is about.
type subject struct{ cluster, node string }

// due reports whether it is time to log a warning, and notes that it has been logged.
func (all *notices) due(cause, cluster, node string) bool {
	l, ok := all.byCause.Load(cause)
	if !ok {
		l, _ = all.byCause.LoadOrStore(cause, &notice.Limiter[subject]{Pause: noticePause, Most: mostNotices})
	}
	return l.(*notice.Limiter[subject]).Due(subject{cluster, node})
}
