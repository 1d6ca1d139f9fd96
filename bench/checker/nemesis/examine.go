//go:build linux

package nemesis

import (
	"context"
	"strings"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// examine has something looked at when the run is over.
func (r *Run) examine(look func([]history.Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks = append(r.looks, look)
}

// Examine looks at a run's history for what no injury can say. It is called once, when the run is over.
func (r *Run) Examine(events []history.Event) {
	for _, look := range r.looks {
		look(events)
	}
}

// keeps asks that no session of clients that only poll was ended by an injury, though it may end others.
func (r *Run) keeps(i *history.Injury) {
	r.examine(func(events []history.Event) {
		lost := 0
		for _, e := range events {
			if e.Tap == history.Client && e.Kind == history.End && strings.Contains(e.By, "-polling-") && i.Began <= e.At && e.At <= i.Ended {
				switch e.Why {
				case history.Stopped, history.Cut, history.Vanished:
				default:
					lost++
				}
			}
		}
		if lost > 0 {
			r.flaw("%d sessions that poll were lost", lost)
		}
	})
}

// even asks that the sessions that were made after an injury began are spread over the nodes.
func (r *Run) even(i *history.Injury) {
	r.examine(func(events []history.Event) {
		least, most, all := 1<<30, 0, made(events, i.Began)
		for _, n := range r.Stage.Nodes {
			least, most = min(least, len(all[n.Name])), max(most, len(all[n.Name]))
		}
		r.figure("nodes have %d to %d sessions", least, most)
		if float64(most) > 1.1*float64(least)+10 { // few of them are uneven by chance
			r.flaw("one node has %d sessions, another one %d", most, least)
		}
	})
}

// made returns the sids that each node has made since.
func made(events []history.Event, since time.Duration) map[string][]string {
	all := map[string][]string{}
	for _, e := range events {
		if e.Tap == history.Node && e.Kind == history.Open && since <= e.At {
			name, _, _ := strings.Cut(e.By, "/")
			all[name] = append(all[name], e.SID)
		}
	}
	return all
}

// overhead is how many requests the replicas have handled, and how many of them they kept for no longer than the limit.
type overhead struct{ all, quick float64 }

func (r *Run) overhead(ctx context.Context) (sum overhead) {
	le := "0.005"
	if r.Slack != 1 {
		le = "0.025"
	}
	for _, p := range r.Stage.Replicas {
		page := p.Metrics(ctx)
		sum.all += page.Sum(`sidway_overhead_seconds_count{cluster="chat"}`)
		sum.quick += page.Sum(`sidway_overhead_seconds_bucket{cluster="chat",le="` + le + `"}`)
	}
	return sum
}

// quick asks that, from a while after its call on and for so long, 99 % of the requests are kept by replicas for no longer than 5 ms.
func (r *Run) quick(ctx context.Context, after, long time.Duration) error {
	if err := Sleep(ctx, after); err != nil {
		return err
	}
	before := r.overhead(ctx)
	if err := Sleep(ctx, long); err != nil {
		return err
	}
	now := r.overhead(ctx)
	all, quick := now.all-before.all, now.quick-before.quick
	r.figure("%.1f %% of %.0f requests within 5 ms", 100*quick/all, all)
	if all == 0 || quick/all < 0.99 && r.Slack > 0 {
		r.flaw("only %.1f %% of %.0f requests within 5 ms", 100*quick/all, all)
	}
	return nil
}
