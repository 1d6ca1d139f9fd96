package gateway

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// guarded calls f and reports whether it returned. A panic in f is counted and logged, and ends no more than what f serves.
func (g *Gateway) guarded(f func()) (returned bool) {
	defer func() {
		if v := recover(); v != nil {
			g.panicked(v)
		}
	}()
	f()
	return true
}

// panicked counts a panic and logs its stack, each place's once an hour. It is called on the stack of the panic.
func (g *Gateway) panicked(v any) {
	g.metrics.panics.Inc()
	if g.notices.due("panic", "", panicPlace()) {
		g.log.Error("panic, its connection is closed", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// panicPlace is the line that panicked: the first frame below the runtime's own.
func panicPlace() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		inRuntime := len(f.Function) > 8 && f.Function[:8] == "runtime."
		if panicking && !inRuntime {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}
