//go:build linux

package planted_test

import (
	"testing"
	"time"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/client"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/planted"
)

// Every kind of node and of client, without a bug between them: nothing is found.
func TestNothingIsFoundWithoutABug(t *testing.T) {
	modes := client.Modes{Polling: 3, Upgrade: 3, WebSocket: 3}
	both := []client.Real{{Library: 4, Modes: modes}, {Library: 2, Modes: modes}}
	for kind, real := range map[app.Kind][]client.Real{app.SocketIO4: both, app.Go: both, app.SocketIO2: both[1:]} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := app.BuildGo(dir); err != nil {
				t.Fatal(err)
			}
			g, err := planted.Start(planted.Plan{Nodes: []string{startNode(t, kind, "n1", dir), startNode(t, kind, "n2", dir)}})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			c := client.Crowd{Seed: 2, Fronts: []string{g.Address()}, Dir: dir, Pace: 100 * time.Millisecond, Fresh: 0.3, Raw: modes, Real: real}
			if kind == app.SocketIO2 {
				c.Raw = client.Modes{} // which speak Engine.IO 4
			}
			crowd, err := client.Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := crowd.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			// Upgrades take a moment, and the raw clients' messages are what can be counted here.
			for crowd.Acked() < 200 && kind != app.SocketIO2 {
				time.Sleep(10 * time.Millisecond)
			}
			if err := crowd.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			events, err := history.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			v := history.Judge(events, nil)
			upgraded := 0
			for _, e := range events {
				if e.Kind == history.Upgraded {
					upgraded++
				}
			}
			if !v.Sound() || v.Sessions != crowd.Total() || upgraded != (len(real)+1)*3 && kind != app.SocketIO2 {
				t.Error("not sound")
			}
			t.Log(upgraded, "upgraded;", v)
		})
	}
}
