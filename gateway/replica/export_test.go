package replica

import "time"

// The memory of bindings, for a test that does not wait for minutes.
var NewMemory = newMemory

func (m *memory) Tick(now time.Time) { m.tick(now) }
