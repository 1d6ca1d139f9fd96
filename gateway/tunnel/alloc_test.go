//go:build linux && !race && !portable

package tunnel_test

import "testing"

// What poll asks allocates, and the race detector makes sync.Pool forget at random, so that it would count allocations that are not there.
func TestNoAllocationPerFrame(t *testing.T) {
	with(t, func(t *testing.T, e engine) {
		x := join(t, e, usual)
		frame := make([]byte, 60)
		if n := testing.AllocsPerRun(1000, func() { roundTrip(x, frame) }); n != 0 {
			t.Errorf("%v allocations for two frames", n)
		}
	})
}
