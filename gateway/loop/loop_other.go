//go:build !linux

package loop

// Loop does not exist on this system.
type Loop struct{}

// Start returns no loops on this system, which has no epoll, and no error.
func Start(int) ([]*Loop, error) { return nil, nil }

// End does nothing.
func (*Loop) End() {}
