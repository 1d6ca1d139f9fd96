//go:build unix && !linux && !darwin

package sock

// Elsewhere all these are as is usual on the system.
var probes, sends []option

var _ = unsent
