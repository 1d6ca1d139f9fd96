//go:build linux

// Package nemesis does to a stage what happens to sites: processes die, stop and start again, networks are cut and slow, operators
// reload and drain. Each fault tells what it may cost, by injuries that package history judges by, and what only it can know.
//
//	f, _ := nemesis.Named("node-kill")
//	s, err := stage.Open(ctx, f.Plan(plan, full))
//	r := &nemesis.Run{Stage: s, Crowd: crowd, …}
//	err = r.Do(ctx, f) // the fault, and the wait for its consequences
//	… r.Injuries(), r.Flaws() …
//
// Which node, replica and moment a fault takes derives from the run's seed.
package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

// A Fault is one row of the table.
type Fault struct {
	Name    string
	Asks    string   // what has to come out, as the table says it
	Redis   string   // how Redis is made up; stage.Single if empty
	Only    string   // why there is no such thing with HAProxy; empty if there is
	Cluster []string // settings of sidway's cluster
	// Alike leaves out the clients of Engine.IO 3: a replica that cannot ask the store finds a session at the nodes, but cannot tell of
	// which revision it is, and so has upgrades wait where nodes make both. docs/redis.md says so.
	Alike bool
	// NoFailures asks that replicas answer nothing with 5xx, by their own logs.
	NoFailures bool
	Spare      bool // one more node, which gets no sessions until it is told to
	Pings      bool // short pings of the nodes at the small size, since they are waited for
	Clock      bool // sidway's clock is the stage's
	Clients    Size // beside the usual ones; zero for those alone

	do func(ctx context.Context, r *Run) error
}

// Size says how many raw clients a fault wants of each kind, at the small and at the full size.
type Size struct{ Small, Full client.Modes }

// A Run is one or several faults that are done to a stage.
type Run struct {
	Stage   *stage.Stage
	Crowd   *client.Running
	Start   func(client.Crowd) (*client.Running, error) // more clients, with what the crowd leaves open filled in
	Sidway  bool                                        // and not HAProxy
	Full    bool
	Silence time.Duration // pingInterval + pingTimeout of the nodes
	Slack   float64       // what limits of time are multiplied by, where a machine is busy; 0 for no limits
	Rand    *rand.Rand

	mu       sync.Mutex
	injuries []*history.Injury
	flaws    []string
	figures  []string
	crowds   int                     // that have come
	looks    []func([]history.Event) // see examine
}

// All are the faults in the order of the table.
func All() []Fault { return slices.Concat(ofNodes(), ofReplicas(), ofRedis(), ofNetworks()) }

// Named finds a fault.
func Named(name string) (Fault, error) {
	var names []string
	for _, f := range append(All(), Mix()) {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Fault{}, fmt.Errorf("nemesis: no fault %q, there are %s", name, strings.Join(names, ", "))
}

// Do does the fault and returns when its consequences are over.
func (r *Run) Do(ctx context.Context, f Fault) error {
	if err := f.do(ctx, r); err != nil {
		return fmt.Errorf("nemesis: %s: %w", f.Name, err)
	}
	return nil
}

// Injuries are what was done.
func (r *Run) Injuries() []history.Injury {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []history.Injury
	for _, i := range r.injuries {
		list = append(list, *i)
	}
	return list
}

// Flaws are what went wrong that histories do not show.
func (r *Run) Flaws() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.flaws)
}

// Figures are what was measured.
func (r *Run) Figures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.figures)
}

func (r *Run) flaw(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flaws = append(r.flaws, fmt.Sprintf(format, args...))
}

func (r *Run) figure(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures = append(r.figures, fmt.Sprintf(format, args...))
}

// within holds a figure against what is asked for.
func (r *Run) within(what string, took, limit time.Duration) {
	r.figure("%s: %v", what, took.Round(time.Millisecond))
	if limit := time.Duration(float64(limit) * r.Slack); took > limit && r.Slack > 0 {
		r.flaw("%s: %v, asked for are %v", what, took.Round(time.Millisecond), limit)
	}
}

// begin says that an injury begins now. Its end is set by end, and until then it has none.
func (r *Run) begin(i history.Injury) *history.Injury {
	i.Began, i.Ended = history.Now(), 1<<62
	i.Back = time.Duration(float64(i.Back) * r.Slack)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.injuries = append(r.injuries, &i)
	return &i
}

// end says that all consequences of an injury are over.
func (r *Run) end(i *history.Injury) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i.Ended = history.Now()
}

// patience is how long clients may take to come back before a run is given up.
const patience = 100 * time.Second

// back gives clients time to notice, waits until all of them have a session, and ends the injury. Clients that do not come back
// are for the judge.
func (r *Run) back(ctx context.Context, i *history.Injury, notice time.Duration) error {
	if err := Sleep(ctx, notice); err != nil {
		return err
	}
	ready, stop := context.WithTimeout(ctx, patience)
	defer stop()
	err := r.Crowd.Ready(ready)
	r.end(i)
	if err != nil && ctx.Err() == nil {
		r.flaw("%v", err)
		return nil
	}
	return ctx.Err()
}

// Sleep waits for so long, or until ctx is done.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// size is a number at the small or at the full size.
func size[T any](r *Run, small, full T) T {
	if r.Full {
		return full
	}
	return small
}

func (r *Run) node() *stage.Process {
	nodes := r.Stage.Nodes
	return nodes[r.intN(len(nodes))]
}

func (r *Run) replica() (victim *stage.Replica, others []*stage.Replica) {
	n := r.intN(len(r.Stage.Replicas))
	others = slices.Delete(slices.Clone(r.Stage.Replicas), n, n+1)
	return r.Stage.Replicas[n], others
}

func (r *Run) intN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Rand.IntN(n)
}

// newcomers are clients that come while a part is away.
type newcomers struct {
	r     *Run
	began time.Time
	*client.Running
}

// come starts clients that have nothing to do with those before.
func (r *Run) come(m client.Modes) (*newcomers, error) {
	began := time.Now()
	r.mu.Lock()
	r.crowds++
	name := fmt.Sprintf("new%d-", r.crowds) // each has a history of its own
	r.mu.Unlock()
	c, err := r.Start(client.Crowd{Name: name, Raw: m})
	if err != nil {
		return nil, err
	}
	return &newcomers{r, began, c}, nil
}

// connected waits until all of them have a session, and tells how long that took.
func (n *newcomers) connected(ctx context.Context) (time.Duration, error) {
	ready, stop := context.WithTimeout(ctx, patience)
	defer stop()
	err := n.Ready(ready)
	if err != nil && ctx.Err() == nil {
		n.r.flaw("new clients: %v", err)
		return patience, nil
	}
	return time.Since(n.began), ctx.Err()
}
