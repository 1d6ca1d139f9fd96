//go:build unix

package loop

import "time"

// CountLate counts a timer as late.
func (l *Loop) CountLate(d time.Duration) { l.pulse.late(d) }
