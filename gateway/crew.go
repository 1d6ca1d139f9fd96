package gateway

import "sync"

// maxIdleWorkers bounds the goroutines that are kept for later.
const maxIdleWorkers = 128

// crew has goroutines do what would block a loop. Each job has a goroutine at once, however many others are blocked. A goroutine
// that is done is kept for the next job, because its stack has grown and its start is paid for.
type crew struct {
	mu     sync.Mutex
	idle   []chan *awaited // the worker that was busy last is at the end
	closed bool
	all    sync.WaitGroup
}

// do has a worker call a.work and then send a to its loop. It does not block.
func (w *crew) do(a *awaited) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		w.all.Go(func() { w.run(a) })
		return
	}
	jobs := w.idle[last]
	w.idle = w.idle[:last]
	w.mu.Unlock()
	jobs <- a
}

// run does a, and then one job after the other until it is not needed any more.
func (w *crew) run(a *awaited) {
	jobs := make(chan *awaited, 1)
	for ok := true; ok; a, ok = <-jobs {
		if !a.g.guarded(a.work) {
			a.then = a.Fail
		}
		a.d.loop.Send(a)
		if !w.rest(jobs) {
			return
		}
	}
}

// rest notes that a worker has nothing to do, and reports whether it is kept.
func (w *crew) rest(jobs chan *awaited) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) == maxIdleWorkers {
		return false
	}
	w.idle = append(w.idle, jobs)
	return true
}

// close ends the workers that have nothing to do, and waits for all of them. No job may come afterwards.
func (w *crew) close() {
	w.mu.Lock()
	w.closed = true
	for _, jobs := range w.idle {
		close(jobs)
	}
	w.idle = nil
	w.mu.Unlock()
	w.all.Wait()
}

// await has a worker do work that may block, and then goes on, if the client is still there; if not, drop is called.
func (c *clientConn) await(work, then, drop func()) {
	c.setState(awaiting, forever)
	c.g.serving.Add(1)
	c.g.crew.do(&awaited{c, work, then, drop})
}

// awaited is a connection for which a worker does its work, or has done it.
type awaited struct {
	*clientConn
	work, then, drop func()
}

// Receive implements loop.Receiver.
func (a *awaited) Receive() {
	defer a.g.serving.Done()
	if a.state == gone {
		if a.drop != nil {
			a.drop()
		}
		a.endRequest()
		return
	}
	a.state = holding
	a.then()
	a.advance()
}
