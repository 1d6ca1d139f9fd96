package auth

import "time"

// Hurry has g ask for its keys without any pause.
func Hurry(g *JWT) { Pause(g, time.Millisecond) }

// Pause has g ask for unknown keys, and where it fails, so seldom.
func Pause(g *JWT, again time.Duration) {
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	g.set.pauses = pauses{age: time.Hour, again: again, first: time.Millisecond}
	if g.set.timer != nil && g.set.timer.Stop() {
		g.set.timer = nil
		g.set.plan()
	}
}

// Kids is how many unknown kids g remembers.
func Kids(g *JWT) int {
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	return len(g.set.kids)
}

// MostKids is how many that may be.
const MostKids = mostKids
