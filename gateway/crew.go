package gateway

import (
	"sync"

	"github.com/sidway/sidway/gateway/loop"
)

// maxIdleWorkers bounds the goroutines that are kept for later.
const maxIdleWorkers = 128

// crew has goroutines do what would block a loop. Each job has a goroutine at once, however many others are blocked. A goroutine
// that is done is kept for the next job, because its stack has grown and its start is paid for.
type crew struct {
	mu     sync.Mutex
	idle   []chan func() // the worker that was busy last is at the end
	closed bool
	all    sync.WaitGroup
}

// do has a worker call job, which must not panic. It does not block.
func (w *crew) do(job func()) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		w.all.Go(func() { w.run(job) })
		return
	}
	jobs := w.idle[last]
	w.idle = w.idle[:last]
	w.mu.Unlock()
	jobs <- job
}

// run does job, and then one after the other until it is not needed any more.
func (w *crew) run(job func()) {
	jobs := make(chan func(), 1)
	for ok := true; ok; job, ok = <-jobs {
		job()
		if !w.rest(jobs) {
			return
		}
	}
}

// rest notes that a worker has nothing to do, and reports whether it is kept.
func (w *crew) rest(jobs chan func()) bool {
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

// await has a worker do work that may block, and then goes on as suspend does.
func (c *clientConn) await(work, then, drop func()) {
	panicked := false
	c.suspend(func(done func()) {
		c.g.crew.do(func() {
			panicked = !c.g.guarded(work)
			done()
		})
	}, func() {
		if panicked {
			c.Fail()
			return
		}
		then()
	}, drop)
}

// suspend has start begin, soon, what does not block and calls done, once and on whichever goroutine, when it has ended. Then the
// connection goes on with then, if the client is still there; if not, drop is called, unless it is nil.
func (c *clientConn) suspend(start func(done func()), then, drop func()) {
	c.setState(awaiting, forever)
	c.g.serving.Add(1)
	c.d.starts.add(c.d.loop, &awaited{c, start, then, drop})
}

// awaited is a connection that waits for what goes on elsewhere.
type awaited struct {
	*clientConn
	start      func(done func())
	then, drop func()
}

// begin may have done called, and so Receive, at once.
func (a *awaited) begin() { a.start(func() { a.d.loop.Send(a) }) }

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

// starts are what is to be begun when the events of a batch have been dealt with. What Redis is asked for then goes there together, and wakes
// one sender, where each for itself would wake one and be sent alone.
type starts struct {
	loop.Timer
	all, spare []*awaited
}

func (s *starts) add(l *loop.Loop, a *awaited) {
	s.all = append(s.all, a)
	l.Yield(&s.Timer)
}

// Resume implements loop.Resumer.
func (s *starts) Resume() {
	all := s.all
	s.all = s.spare[:0]
	for i, a := range all {
		all[i] = nil
		if !a.g.guarded(a.begin) {
			a.then = a.Fail
			a.d.loop.Send(a)
		}
	}
	s.spare = all
}

// Expire implements loop.Expirer. The timer is never set.
func (s *starts) Expire() {}
