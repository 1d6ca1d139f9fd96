//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

// few are new clients of each kind.
var few = client.Modes{Polling: 4, Upgrade: 4, WebSocket: 4}

func ofNodes() []Fault {
	return []Fault{
		{Name: "node-kill", Asks: "only its sessions end, 99 % back within 2.5 s", do: killNode},
		{Name: "node-pause", Asks: "8 s: 0 lost, new ones elsewhere within 3 s", do: pauseNode},
		{
			Name: "node-stop", Asks: "only its sessions end, 99 % back within 12.5 s", do: stopNode,
			Cluster: []string{"health: {path: /healthz, interval: 1s, timeout: 1s}"},
		},
		{
			Name: "node-restart", Asks: "empty table: only its sessions end, it gets new ones", do: restartNode,
			Cluster: []string{"pace: {slow_start: 0s}"},
		},
		{Name: "clients-vanish", Asks: "0 lost, freed within pings + 15 s", Pings: true, do: vanish},
		{
			Name: "storm", Asks: "all cut at once: back within 5 s, no 5xx, nodes within 10 %", NoFailures: true, do: storm,
			Clients: Size{Small: client.Modes{Polling: 60, Upgrade: 60, WebSocket: 120}, Full: client.Modes{Polling: 800, Upgrade: 1200, WebSocket: 3000}},
			Cluster: []string{"pace: {slow_start: 0s}"},
		},
		{
			Name: "rolling-drain", Asks: "all nodes restarted: each session reconnects at most once", Spare: true, do: rollNodes,
			Cluster: []string{"pace: {slow_start: 0s}"},
		},
	}
}

func killNode(ctx context.Context, r *Run) error {
	n := r.node()
	i := r.begin(history.Injury{Fault: "node-kill", Excuses: history.SessionsOfNodes, Nodes: []string{n.Name}, Back: 2500 * time.Millisecond})
	if err := n.Kill(); err != nil {
		return err
	}
	return r.back(ctx, i, 3*time.Second)
}

// pauseNode stops a process for 8 s, and has new clients come meanwhile.
func pauseNode(ctx context.Context, r *Run) error {
	n := r.node()
	i := r.begin(history.Injury{Fault: "node-pause", Excuses: history.Nobody, Polling: true}) // those of new ones that are on it
	if err := n.Pause(); err != nil {
		return err
	}
	resumed := make(chan error, 1)
	go func() { resumed <- errors.Join(Sleep(ctx, 8*time.Second), n.Resume()) }()
	fresh, err := r.come(few)
	if err != nil {
		return err
	}
	took, err := fresh.connected(ctx)
	if err != nil {
		return err
	}
	r.within("new clients connected after", took, 3*time.Second)
	if err := <-resumed; err != nil {
		return err
	}
	return r.back(ctx, i, 3*time.Second)
}

func stopNode(ctx context.Context, r *Run) error {
	n := r.node()
	i := r.begin(history.Injury{Fault: "node-stop", Excuses: history.SessionsOfNodes, Nodes: []string{n.Name}, Back: 12500 * time.Millisecond})
	if err := n.Pause(); err != nil {
		return err
	}
	// Whatever does not cut them leaves them to their own timers, which are 45 s.
	return r.back(ctx, i, size(r, 20*time.Second, 55*time.Second))
}

// restartNode has a node come back at its address at once, with no session.
func restartNode(ctx context.Context, r *Run) error {
	n := r.node()
	i := r.begin(history.Injury{Fault: "node-restart", Excuses: history.SessionsOfNodes, Nodes: []string{n.Name}})
	if err := n.Kill(); err != nil {
		return err
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	if err := r.back(ctx, i, 4*time.Second); err != nil {
		return err
	}
	again := history.Now()
	fresh, err := r.come(client.Modes{Polling: 10, WebSocket: 10})
	if err != nil {
		return err
	}
	r.examine(func(events []history.Event) {
		if len(made(events, again)[n.Name]) == 0 {
			r.flaw("%s got no session of %d new clients after it was back", n.Name, fresh.Total())
		}
	})
	_, err = fresh.connected(ctx)
	return err
}

// vanish has clients leave as a telephone does that loses its network: nothing comes from them, not even the end of a connection.
func vanish(ctx context.Context, r *Run) error {
	var fronts []string
	for _, p := range r.Stage.Replicas {
		front, err := r.Stage.Alias(p)
		if err != nil {
			return err
		}
		fronts = append(fronts, front)
	}
	gone, err := r.Start(client.Crowd{Name: "gone-", Fronts: fronts, Raw: client.Modes{WebSocket: 20}})
	if err != nil {
		return err
	}
	if err := gone.Ready(ctx); err != nil {
		return err
	}
	i := r.begin(history.Injury{Fault: "clients-vanish", Excuses: history.Nobody})
	for _, front := range fronts {
		r.Stage.Wire.Set(r.Stage.Clients.Addr, netip.MustParseAddrPort(front).Addr(), stage.Link{Cut: true})
	}
	gone.Vanish(1) // what they send from now on nobody hears
	if open, err := r.established(fronts); err != nil || open < gone.Total() {
		return fmt.Errorf("%d connections of %d clients are open: %w", open, gone.Total(), err)
	}
	began, limit := time.Now(), r.Silence+15*time.Second
	for open := -1; open != 0; {
		if open, err = r.established(fronts); err != nil {
			return err
		}
		if time.Since(began) > 2*limit {
			r.flaw("%d connections of vanished clients are open after %v", open, 2*limit)
			break
		}
		if err := Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	r.within("freed after", time.Since(began), limit)
	r.end(i)
	return nil
}

// established counts the connections that replicas hold for clients that came by these fronts.
func (r *Run) established(fronts []string) (int, error) {
	sum := 0
	for n, p := range r.Stage.Replicas {
		open, err := p.Established(fronts[n])
		if err != nil {
			return 0, err
		}
		sum += open
	}
	return sum, nil
}

// storm cuts all clients at once.
func storm(ctx context.Context, r *Run) error {
	i := r.begin(history.Injury{Fault: "storm", Excuses: history.SessionsCut, Back: 5 * time.Second})
	if err := r.Crowd.Cut(1); err != nil {
		return err
	}
	r.even(i)
	return r.back(ctx, i, 2*time.Second)
}

// rollNodes replaces all nodes one after the other. One more takes the sessions of the first, and new sessions go only to nodes
// that are new already.
func rollNodes(ctx context.Context, r *Run) error {
	i := r.begin(history.Injury{Fault: "rolling-drain", Excuses: history.Everybody, Once: true})
	old := r.Stage.Nodes
	if err := r.Stage.Release(ctx); err != nil {
		return err
	}
	for _, n := range old {
		if err := r.Stage.Drain(ctx, n); err != nil {
			return err
		}
		if err := n.Kill(); err != nil {
			return err
		}
		if err := n.Start(ctx); err != nil {
			return err
		}
		if err := r.Stage.Undrain(ctx, n); err != nil {
			return err
		}
	}
	return r.back(ctx, i, 3*time.Second)
}
