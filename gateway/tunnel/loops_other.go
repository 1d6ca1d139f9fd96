//go:build !linux

package tunnel

// Loops is Goroutines on this system, which has no epoll.
type Loops struct{ *Goroutines }

// NewLoops returns an engine; the number of loops means nothing here, and there is no error.
func NewLoops(int) (*Loops, error) { return &Loops{NewGoroutines()}, nil }
