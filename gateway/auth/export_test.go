package auth

import "time"

// Hurry has g ask for its keys without any pause.
func Hurry(g *JWT) {
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	g.set.pauses = pauses{age: time.Hour}
}
