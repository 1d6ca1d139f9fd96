package mend

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io/v2/socket"
)

// readyLimit is how long the first events of a socket wait for its connection handlers. One that does not return, since
// it serves the socket itself, has registered its listeners by then.
const readyLimit = 2 * time.Second

// turn is the place of one event in the line of its socket.
//
// The library runs each packet, and then each handler, on a goroutine of its own. The turn travels with the event in the
// spare capacity of its list of arguments, which the library passes on but never looks at: to the gate (our first
// middleware), the exit (our last one) and the emitter of the socket.
type turn struct {
	arrived chan struct{}        // closed at the gate
	chained chan struct{}        // closed when the middlewares have returned
	done    chan struct{}        // closed when the handlers have returned, or will not be called
	before  atomic.Pointer[turn] // the event in front; nil once this one is done, else each would hold all before it
	passed  atomic.Bool          // all middlewares let it through
	once    sync.Once
	release func()
}

// Behind has answer run when all has been delivered that this node has said to a socket so far.
type Behind func(to socket.SocketId, answer func())

func newTurn(release func()) *turn {
	return &turn{
		arrived: make(chan struct{}), chained: make(chan struct{}), done: make(chan struct{}), release: release,
	}
}

// carry returns data with room for the acknowledgement that the library appends, and the turn behind that.
func (t *turn) carry(data []any) []any {
	list := make([]any, len(data)+2)
	copy(list, data)
	list[len(data)+1] = t
	return list[:len(data)]
}

// turnOf finds the turn behind args, whichever part of the list that is.
func turnOf(args []any) *turn {
	if cap(args) == len(args) {
		return nil
	}
	t, _ := args[:cap(args)][cap(args)-1].(*turn)
	return t
}

func (t *turn) finish() {
	t.once.Do(func() {
		t.before.Store(nil)
		close(t.done)
		t.release()
	})
}

// lane is the line of one socket's events.
type lane struct {
	ready chan struct{} // closed when the connection handlers have returned
	gone  chan struct{} // closed at the disconnection
	open  sync.Once
	shut  sync.Once
	acks  func(socket.Ack) socket.Ack // if set: what handlers get in place of the library's
	mu    sync.Mutex
	last  *turn
}

// enter gives t its place behind those that arrived before.
func (l *lane) enter(t *turn) {
	l.mu.Lock()
	t.before.Store(l.last)
	l.last = t
	l.mu.Unlock()
	close(t.arrived)
}

func (l *lane) wait(c <-chan struct{}) {
	select {
	case <-c:
	case <-l.gone:
	}
}

// gate is the first middleware: it runs the others for one event at a time.
func (l *lane) gate(args []any, next func(error)) {
	t := turnOf(args)
	if t == nil {
		next(nil)
		return
	}
	if ack, asked := args[len(args)-1].(socket.Ack); asked && l.acks != nil {
		args[len(args)-1] = l.acks(ack)
	}
	l.enter(t)
	if b := t.before.Load(); b != nil {
		l.wait(b.chained)
	}
	next(nil)
	close(t.chained)
	if !t.passed.Load() { // a middleware refused it, or goes on later: nobody waits for it
		go l.skip(t)
	}
}

func (l *lane) skip(t *turn) {
	if b := t.before.Load(); b != nil {
		l.wait(b.done)
	}
	t.finish()
}

// exit is the last middleware.
func (l *lane) exit(args []any, next func(error)) {
	if t := turnOf(args); t != nil {
		t.passed.Store(true)
	}
	next(nil)
}

// ordered is the emitter of a socket that calls handlers in the order of the events' arrival.
type ordered struct {
	events.EventEmitter
	lane *lane
}

// Emit implements events.EventEmitter.
func (o *ordered) Emit(name events.EventName, args ...any) {
	t := turnOf(args)
	if t == nil {
		o.EventEmitter.Emit(name, args...)
		if name == "disconnect" {
			o.lane.shut.Do(func() { close(o.lane.gone) })
		}
		return
	}
	defer t.finish()
	if b := t.before.Load(); b != nil {
		select {
		case <-b.done:
		case <-o.lane.gone:
			return
		}
	}
	o.EventEmitter.Emit(name, args...)
}

// line puts a socket's events in order. It is called before the client knows that it is connected, and again for each
// room that the socket joins.
func line(s *socket.Socket, behind Behind) {
	if _, done := s.StrictEventEmitter.EventEmitter.(*ordered); done {
		return
	}
	l := &lane{ready: make(chan struct{}), gone: make(chan struct{})}
	if behind != nil {
		l.acks = func(ack socket.Ack) socket.Ack {
			return func(data []any, err error) { behind(s.Id(), func() { ack(data, err) }) }
		}
	}
	s.StrictEventEmitter.EventEmitter = &ordered{s.StrictEventEmitter.EventEmitter, l}
	limit := time.AfterFunc(readyLimit, func() { begin(s) })
	s.OnAny(func(...any) {
		l.wait(l.ready) // the middlewares that the connection handler adds are not looked up before this returns
		limit.Stop()
	})
	s.Use(l.gate)
}

// begin lets the events of s go to its handlers.
func begin(s *socket.Socket) {
	o, ok := s.StrictEventEmitter.EventEmitter.(*ordered)
	if !ok {
		return
	}
	o.lane.open.Do(func() {
		s.Use(o.lane.exit)
		close(o.lane.ready)
	})
}

// space is the emitter of a namespace that tells when the connection handlers of a socket have returned.
type space struct{ events.EventEmitter }

// Emit implements events.EventEmitter.
func (e *space) Emit(name events.EventName, args ...any) {
	e.EventEmitter.Emit(name, args...)
	if name == "connection" && len(args) > 0 {
		if s, ok := args[0].(*socket.Socket); ok {
			begin(s)
		}
	}
}

// Order puts the sockets of a namespace in order if Harden was called for its server. The namespace's adapter calls joining
// before a socket is in any room; it is nil where the sockets stay as they are. With behind, acknowledgements are given by it: it is for adapters
// that deliver later what is emitted.
func Order(nsp socket.Namespace, behind Behind) (joining func(socket.SocketId)) {
	p, strict := nsp.Server().Opts().GetRawParser().(*strictParser)
	if !strict {
		return nil
	}
	p.ordered.Store(true)
	nsp.EventEmitter().EventEmitter = &space{nsp.EventEmitter().EventEmitter}
	return func(id socket.SocketId) {
		if s, ok := nsp.Sockets().Load(id); ok {
			line(s, behind)
		}
	}
}
