//go:build linux && faults

package race_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sidway/sidway/bench/checker/race"
	"github.com/sidway/sidway/bench/rival"
)

// No POST fails because its node closes an idle connection, and none that a node has handled is sent again. That nginx fails some shows that
// the shots hit.
func TestPostsMeetTheEndOfConnections(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "sidway")
	build := exec.Command("go", "build", "-o", program, "github.com/sidway/sidway/cmd/sidway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plan := race.Plan{Sidway: program, Dir: dir, Seed: 1, Shots: 90, Sessions: 30, Rivals: []string{rival.Sidway}, Each: func(r race.Row) { t.Log(r) }}
	rows, err := race.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		if err := r.Wrong(); err != nil {
			t.Error(err)
		}
		if r.Case == race.Cut && r.Failed == 0 {
			t.Error("nothing was cut")
		}
	}
	plan.Rivals, plan.Cases, plan.Shots, plan.Sessions = []string{"nginx-1"}, []string{race.Busy}, 300, 50
	if rows, err = race.Run(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if rows[0].Failed == 0 {
		t.Error("no shot through nginx has hit")
	}
}
