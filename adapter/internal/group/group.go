// Package group has sync.WaitGroup with its method Go, which came with Go 1.25: the adapter asks for no newer Go than
// socket.io/v2 does.
package group

import "sync"

// Group waits for the goroutines that it starts.
type Group struct{ sync.WaitGroup }

// Go runs fn in a goroutine that Wait waits for.
func (g *Group) Go(fn func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		fn()
	}()
}
