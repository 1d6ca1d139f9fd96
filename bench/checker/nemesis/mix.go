//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// mixed are faults that may be done at the same time: whatever two of them do together, each session has still one that excuses
// its end, or has to live.
var mixed = []string{"node-kill", "node-pause", "node-restart", "replica-kill", "redis-flush", "redis-empty", "net-delay", "net-loss"}

// Mix is three faults at once, which the run's seed chooses.
func Mix() Fault {
	return Fault{Name: "mix", Asks: "three at once: what each of them allows, and no more", Alike: true, do: func(ctx context.Context, r *Run) error {
		var names []string
		var wait []time.Duration
		for _, n := range r.Rand.Perm(len(mixed)) {
			name := mixed[n]
			if f, err := Named(name); err == nil && (r.Sidway || f.Only == "") && len(names) < 3 {
				names = append(names, name)
				wait = append(wait, time.Duration(r.Rand.IntN(4000))*time.Millisecond)
			}
		}
		r.figure("%s", strings.Join(names, " + "))
		r.Slack *= float64(len(names)) // who is past one of them may meet the next
		done := make(chan error)
		for i, name := range names {
			go func() {
				f, err := Named(name)
				if err == nil {
					err = Sleep(ctx, wait[i])
				}
				if err == nil {
					err = f.do(ctx, r)
				}
				if err != nil {
					err = fmt.Errorf("%s: %w", name, err)
				}
				done <- err
			}()
		}
		var errs []error
		for range names {
			errs = append(errs, <-done)
		}
		return errors.Join(errs...)
	}}
}
