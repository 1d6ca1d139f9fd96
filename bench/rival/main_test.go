//go:build linux

package rival_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/rival"
	"github.com/sidway/sidway/engineio/engineiotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buildSidway returns the path of a sidway made from the sources around.
func buildSidway(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sidway")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/sidway/sidway/cmd/sidway").CombinedOutput(); err != nil {
		t.Fatalf("build sidway: %v\n%s", err, out)
	}
	return path
}

// newPlan returns a plan with free ports in front of nodes.
func newPlan(t *testing.T, nodes ...*engineiotest.Node) rival.Plan {
	t.Helper()
	free, err := rival.Addresses(3)
	if err != nil {
		t.Fatal(err)
	}
	p := rival.Plan{Listen: free[0], Admin: free[1], Redis: free[2], Dir: t.TempDir()}
	for _, n := range nodes {
		p.Nodes = append(p.Nodes, n.Addr())
	}
	// nginx's workers are not root, even where the test is.
	if err := os.Chmod(p.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// start runs a proxy until the end of the test.
func start(t *testing.T, r rival.Rival, p rival.Plan) *rival.Process {
	t.Helper()
	process, err := r.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Stop() })
	return process
}
