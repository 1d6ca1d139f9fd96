//go:build linux

package load

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidway/sidway/bench/socket"
)

const (
	openings    = 64                    // connections that open at a time, so that no backlog overflows
	openRate    = 1000                  // connections that begin to open in a second
	openTime    = 10 * time.Second      // for the slowest, after the last one has begun
	firstTime   = time.Second           // for the first
	retryPause  = 10 * time.Millisecond // before a broken connection opens again
	drainTime   = 2 * time.Second       // for operations under way when the window ends
	burstTime   = 5 * time.Second       // for a frame to arrive at all tunnels
	burstPause  = 20 * time.Millisecond
	sourceAddrs = 16 // local addresses to take turns, as each has only some ten thousand ports
)

var errLate = errors.New("no answer in time")

// runner is a job's connections and the loop that serves them. It belongs to one thread.
type runner struct {
	job    Job
	work   work
	addr   socket.Address
	from   *unix.SockaddrInet4
	tls    *tls.Config // nil: nothing is encrypted
	poller *socket.Poller
	buf    []byte // what was read last, of any connection

	conns    []conn // by slot
	broken   []*conn
	halves   []half  // requests whose second segments are due, the first of them first
	share    float64 // of a request, that is to come in two segments
	serial   int64   // of the latest request, where each is another one
	retry    int64   // when those open again
	standing int     // connections that are ready or busy
	flying   int     // operations under way
	turn     int     // the slot of the next one, where not all are busy

	epoch   time.Time
	running bool  // a new operation follows a finished one
	begin   int64 // of the window
	end     int64 // of its last operation
	due     int64 // of an open loop: how many operations have been due

	latency  Histogram
	ops      int64
	lost     int64 // operations that failed
	foreign  int64
	resumes  int64
	reopened int64
	errs     int64
	firstErr string
}

// newRunner prepares a runner; none of its connections is open.
func newRunner(j Job) (*runner, error) {
	addr, err := socket.Resolve(j.Addr)
	if err != nil {
		return nil, err
	}
	poller, err := socket.NewPoller()
	if err != nil {
		return nil, err
	}
	r := &runner{
		job:    j,
		work:   j.work(),
		addr:   addr,
		tls:    j.clientTLS(),
		poller: poller,
		buf:    make([]byte, 256<<10),
		conns:  make([]conn, j.Conns),
		broken: make([]*conn, 0, j.Conns),
		halves: make([]half, 0, j.Conns),
		epoch:  time.Now(),
	}
	if r.work.brief && addr.Addr[0] == 127 {
		r.from = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	}
	for i := range r.conns {
		r.conns[i] = conn{fd: -1, slot: int32(i), ask: r.work.ask}
		if r.work.vary != nil {
			r.conns[i].ask = bytes.Clone(r.work.ask)
		}
	}
	return r, nil
}

// close closes all connections.
func (r *runner) close() {
	for i := range r.conns {
		r.shut(&r.conns[i])
	}
	r.poller.Close()
}

// now returns the nanoseconds since r began.
func (r *runner) now() int64 { return int64(time.Since(r.epoch)) }

// source returns the local address of the next connection, nil for any.
func (r *runner) source() socket.Address {
	if r.from != nil {
		r.from.Addr[3] = r.from.Addr[3]%sourceAddrs + 1
	}
	return r.from
}

// note counts n errors and keeps the text of the first.
func (r *runner) note(n int64, err error) {
	if r.errs == 0 {
		r.firstErr = err.Error()
	}
	r.errs += n
}

// open opens all connections. It fails if not all of them stand in time.
func (r *runner) open() error {
	if r.work.brief {
		for i := range r.conns {
			r.conns[i].phase = ready
		}
		r.standing = len(r.conns)
		return nil
	}
	begin := r.now()
	last := begin + int64(len(r.conns))*int64(time.Second)/openRate + int64(openTime)
	for begun := 0; r.standing < len(r.conns); {
		now := r.now()
		if now > last || r.standing == 0 && now > begin+int64(firstTime) {
			return fmt.Errorf("load: %d of %d connections opened: %s", r.standing, len(r.conns), r.firstErr)
		}
		may := min(len(r.conns), r.standing+openings, 1+int((now-begin)*openRate/int64(time.Second)))
		for ; begun < may; begun++ {
			r.reopen(&r.conns[begun])
		}
		r.step(time.Millisecond)
	}
	return nil
}

// step serves what happens within limit, at least once, and opens broken connections again.
func (r *runner) step(limit time.Duration) {
	if len(r.broken) > 0 {
		limit = min(limit, retryPause)
	}
	events := r.poller.Wait(r.untilHalf(limit))
	for i := range events {
		if c := &r.conns[events[i].Fd]; c.turn == events[i].Pad && c.fd >= 0 {
			r.handle(c, events[i].Events)
		}
	}
	r.sendHalves()
	if len(r.broken) == 0 {
		return
	}
	if now := r.now(); now >= r.retry {
		r.retry = now + int64(retryPause)
		r.mend()
	}
}

// mend opens the broken connections again; those that break at that are kept for the next time.
func (r *runner) mend() {
	for range len(r.broken) {
		c := r.broken[0]
		r.broken = append(r.broken[:0], r.broken[1:]...)
		if !r.work.brief {
			r.reopen(c)
		} else if err := r.stands(c); err != nil {
			r.fail(c, err)
		}
	}
}

// stands is called when c is ready for operations.
func (r *runner) stands(c *conn) error {
	c.phase = ready
	r.standing++
	return r.follow(c)
}

// follow begins c's next operation if it is time for that.
func (r *runner) follow(c *conn) error {
	switch {
	case r.job.Kind == Fanout:
		return nil
	case r.job.Rate > 0 && c.next < r.due:
		began := r.dueAt(c.next)
		c.next += int64(len(r.conns))
		return r.start(c, began)
	case r.job.Active > 0 && r.running:
		r.rotate()
	case r.job.Rate == 0 && r.running:
		return r.start(c, r.now())
	}
	return nil
}

// rotate begins operations until as many are under way as there should be, on those connections whose latest operation is
// the longest ago.
func (r *runner) rotate() {
	for range r.conns {
		if r.flying >= r.job.Active {
			return
		}
		c := &r.conns[r.turn]
		r.turn = (r.turn + 1) % len(r.conns)
		if c.phase != ready {
			continue
		}
		if err := r.start(c, r.now()); err != nil {
			r.fail(c, err)
		}
	}
}

// start begins an operation, which counts from began.
func (r *runner) start(c *conn, began int64) error {
	c.phase, c.began = busy, began
	r.flying++
	if r.work.vary != nil {
		r.serial++
		r.work.vary(c, r.serial)
	}
	if !r.work.brief {
		return c.send(r.firstSegment(c))
	}
	if err := r.dial(c); err != nil {
		return err
	}
	if err := c.send(c.ask); err != nil {
		return err
	}
	return r.watch(c)
}

// finish counts c's operation.
func (r *runner) finish(c *conn) error {
	r.end = r.now()
	r.ops++
	r.flying--
	c.phase = ready
	if r.job.Kind == Fanout {
		return nil
	}
	r.latency.Record(r.end - c.began)
	if c.foreign {
		r.foreign++
	}
	if r.work.brief {
		r.resumed(c)
		r.shut(c)
		return r.stands(c)
	}
	if c.last {
		r.reopened++
		r.shut(c)
		r.reopen(c)
		return nil
	}
	return r.follow(c)
}
