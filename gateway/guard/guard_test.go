package guard_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/guard"
)

// Each rule stands in the documentation as it says of itself.
func TestRulesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range guard.All() {
		a := r.About()
		row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", a.ID, a.Stops, a.Saves, strings.Join(a.By, ", "))
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/security.md lacks:\n%s", row)
		}
	}
}

func TestRulesAreFoundByTheirIDs(t *testing.T) {
	for _, r := range guard.All() {
		if found, ok := guard.Find(r.String()); !ok || found != r {
			t.Errorf("%s: found %v, %v", r, found, ok)
		}
	}
	if _, ok := guard.Find("no-such-rule"); ok {
		t.Error("a rule was found that there is not")
	}
}
