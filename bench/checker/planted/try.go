//go:build linux

package planted

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
)

// Try has clients of both kinds talk to nodes of package app through a gateway with the bug, until it has struck and a while longer, and
// returns what the clients have written in dir.
func Try(ctx context.Context, nodes []string, bug Bug, dir string) ([]history.Event, error) {
	g, err := Start(Plan{Nodes: nodes, Bug: bug, Up: "up", Down: "down"})
	if err != nil {
		return nil, err
	}
	patience := 3 * time.Second // what a bug has lost never comes
	if bug.Name == "none" {
		patience = time.Minute
	}
	modes := map[string]client.Modes{"": {Polling: 3, Upgrade: 3, WebSocket: 3}, "polling": {Polling: 3}, "upgrade": {Upgrade: 3}, "websocket": {WebSocket: 3}}[bug.Mode]
	crowd, err := client.Start(ctx, client.Crowd{
		Seed: 1, Fronts: []string{g.Address()}, Dir: dir, Pace: 100 * time.Millisecond, Fresh: 0.2,
		Raw: modes, Real: []client.Real{{Library: 4, Modes: modes}}, Patience: patience,
	})
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	err = talk(ctx, crowd, g, bug)
	err = errors.Join(err, crowd.Stop(ctx), g.Close())
	if err != nil {
		return nil, err
	}
	return history.Read(dir)
}

// talk returns when the bug has struck, and the clients have gone on for a while.
func talk(ctx context.Context, crowd *client.Running, g *Gateway, bug Bug) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute) // reached only when something is broken
	defer cancel()
	if bug.Name == "none" {
		if err := crowd.Ready(ctx); err != nil {
			return err
		}
	} else {
		for g.Strikes() < 3 && (g.Strikes() == 0 || !once[bug.Name]) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s: has struck %d times", bug.Name, g.Strikes())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	// A gap shows when a later message has come. Where the bug lets nothing come, there is nothing to wait for.
	for end, before := time.Now().Add(4*time.Second), crowd.Acked(); time.Now().Before(end) && crowd.Acked() < before+100; {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// once names the bugs that strike once.
var once = map[string]bool{"a handshake refused": true, "a direct connect refused": true}
