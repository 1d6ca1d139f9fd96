package replica_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/replica"
)

// FuzzSightings holds that whatever other replicas answer of a session, it lives or there is a reason why it does not, its last requests
// are told in their order, and what is told is JSON.
func FuzzSightings(f *testing.F) {
	f.Add(`[{"replica":"r1","cluster":"chat","node":"n1","made":"2026-01-02T15:04:05Z","tunnel":true,"since":"2026-01-02T15:04:06Z","ttl":45000000000}]`, `[]`)
	f.Add(`[{"replica":"r1","ended":"2026-01-02T15:04:05Z","end":"closed","requests":[{"at":"2026-01-02T15:04:05Z","took":1e300,"status":200}]}]`, `[{"tunnel":true}]`)
	f.Add(`[{"ttl":9223372036854775807,"requests":[{"at":"9999-12-31T23:59:59Z","took":-1e300},{"at":"0001-01-01T00:00:00Z"}]}]`, `{}`)
	f.Add(`[{"ended":1}]`, `null`)
	f.Fuzz(func(t *testing.T, a, b string) {
		got := replica.Traced(a, b)
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
		if got.Live != (got.Why == "") {
			t.Errorf("lives: %v, why: %q", got.Live, got.Why)
		}
		if len(got.Requests) > 16 || !slices.IsSortedFunc(got.Requests, func(a, b api.TracedRequest) int { return a.At.Compare(b.At) }) {
			t.Errorf("%+v", got.Requests)
		}
	})
}
