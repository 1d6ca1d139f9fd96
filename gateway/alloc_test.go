//go:build !race

package gateway_test

import "testing"

// The race detector makes sync.Pool forget at random, so that it would count allocations that are not there.
func TestNoAllocationPerRequest(t *testing.T) {
	for name, request := range benchRequests {
		t.Run(name, func(t *testing.T) {
			ask := benchRoad(t, []byte(request))
			if n := testing.AllocsPerRun(1000, ask); n != 0 {
				t.Errorf("%v allocations for a %s, client and node included", n, name)
			}
		})
	}
}
