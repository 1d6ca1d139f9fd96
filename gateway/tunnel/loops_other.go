//go:build !linux

package tunnel

import "github.com/sidway/sidway/gateway/loop"

// Loops is Goroutines on this system, which has no epoll.
type Loops struct{ *Goroutines }

// NewLoops returns an engine; there are no loops on this system.
func NewLoops([]*loop.Loop) *Loops { return &Loops{NewGoroutines()} }
