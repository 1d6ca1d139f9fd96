//go:build unix && !linux && !darwin

package sock

// probes are as is usual on the system.
var probes []option

// lowWater is no option here.
const lowWater = -1

// Unacknowledged is known on Linux alone.
func Unacknowledged(int) bool { return false }
