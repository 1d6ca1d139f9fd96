//go:build linux

package planted_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/bench/checker/app"
	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/planted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startNode runs a node of the checker and returns its address.
func startNode(t *testing.T, kind app.Kind, name, dir string) string {
	t.Helper()
	p, err := app.Start(app.Options{Kind: kind, History: dir, Push: 100 * time.Millisecond}, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p.Address
}

// of returns the events of the sessions that the clients had, and what clients said without one.
func of(clients, nodes []history.Event) []history.Event {
	sids := map[string]bool{}
	for _, e := range clients {
		sids[e.SID] = true
	}
	all := slices.Clone(clients)
	for _, e := range nodes {
		if sids[e.SID] {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b history.Event) int { return int(a.At - b.At) })
	return all
}

// A checker that finds nothing proves nothing, unless it finds what is planted.
func TestJudgeFindsWhatIsPlanted(t *testing.T) {
	flaws := map[string][]history.Flaw{
		"none":                                     nil,
		"POST sent again":                          {history.Doubled},
		"POST dropped":                             {history.Gap},
		"POST overtaken":                           {history.Reordered},
		"POST changed":                             {history.Corrupt},
		"POST sent again after a cut":              {history.Doubled},
		"poll sent again":                          {history.Gap},
		"two polls' answers swapped":               {history.Reordered},
		"a poll's answer given twice":              {history.Doubled},
		"a poll's answer given to another session": {history.CrossTalk, history.Gap},
		"a poll failed":                            {history.Unexplained},
		"a handshake refused":                      {history.Refusal},
		"a direct connect refused":                 {history.Refusal},
		"upgrades refused":                         {history.NoUpgrade},
		"connection of a refused upgrade pooled":   {history.NoUpgrade, history.Unexplained},
		"client's frame dropped":                   {history.Gap},
		"client's frame twice":                     {history.Doubled},
		"client's frames swapped":                  {history.Reordered},
		"node's frame dropped":                     {history.Gap},
		"node's frame twice":                       {history.Doubled},
		"node's frames swapped":                    {history.Reordered},
		"node's frame given to another session":    {history.CrossTalk, history.Gap},
	}
	dir := t.TempDir()
	nodes := []string{startNode(t, app.SocketIO4, "n1", dir), startNode(t, app.SocketIO4, "n2", dir)}
	bugs := planted.Bugs()
	for _, mode := range []string{"polling", "upgrade", "websocket"} {
		bugs = append(bugs, planted.Bug{Name: "none", Mode: mode})
	}
	if len(bugs) != len(flaws)+2 {
		t.Errorf("%d bugs, and %d of them are known here", len(bugs)-3, len(flaws)-1)
	}
	runs := runAll(t, nodes, bugs)
	seen, err := history.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, bug := range bugs {
		t.Run(bug.Name+" in "+bug.Mode, func(t *testing.T) {
			v := history.Judge(of(runs[i], seen), nil)
			want := flaws[bug.Name]
			if v.Sound() != (len(want) == 0) || len(want) == 0 && v.Messages < 100 {
				t.Errorf("sound: %v", v.Sound())
			}
			for _, flaw := range want {
				if v.Count(flaw) == 0 {
					t.Errorf("no %s was found", flaw)
				}
			}
			t.Log(v)
		})
	}
}

// runAll returns what the clients of each bug's gateway have written.
func runAll(t *testing.T, nodes []string, bugs []planted.Bug) [][]history.Event {
	t.Helper()
	all := make([][]history.Event, len(bugs))
	var group errgroup.Group
	group.SetLimit(12) // most of what a run does is waiting
	for i, bug := range bugs {
		dir := t.TempDir()
		group.Go(func() (err error) {
			all[i], err = planted.Try(t.Context(), nodes, bug, dir)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}
