package tunnel

// Goroutines is an engine that gives each tunnel two goroutines. They wait until their connection is readable and only then
// borrow a buffer. It takes any net.Conn and is safe for concurrent use.
type Goroutines struct {
	*roster
	buffers *buffers
}

// NewGoroutines returns an engine without tunnels.
func NewGoroutines() *Goroutines {
	return &Goroutines{roster: newRoster(), buffers: newBuffers()}
}

// Start takes both connections over and returns at once. After Shutdown has ended it closes them and calls Done before it
// returns.
func (g *Goroutines) Start(o Options) {
	t := newTunnel(g, o)
	switch g.add(t) {
	case closed:
		t.cut(Shutdown)
		t.report()
		return
	case ending:
		t.stop()
	}
	go t.up.run(o.ToNode)
	go t.down.run(o.ToClient)
}
