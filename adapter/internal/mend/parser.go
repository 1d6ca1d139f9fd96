package mend

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// Harden wraps the parser of a server that is not made yet.
func Harden(opts socket.ServerOptionsInterface) {
	inner := opts.GetRawParser()
	if _, done := inner.(*strictParser); done {
		return
	}
	if inner == nil {
		inner = parser.NewParser()
	}
	opts.SetParser(&strictParser{inner: inner})
}

// strictParser makes decoders that refuse what the library would take and not survive.
type strictParser struct {
	inner   parser.Parser
	ordered atomic.Bool // the adapter is ours and puts sockets in order
}

var _ parser.Parser = (*strictParser)(nil)

// NewEncoder implements parser.Parser.
func (p *strictParser) NewEncoder() parser.Encoder { return p.inner.NewEncoder() }

// NewDecoder implements parser.Parser.
func (p *strictParser) NewDecoder() parser.Decoder {
	d := &strictDecoder{
		EventEmitter: events.New(), parser: p, inner: p.inner.NewDecoder(),
		gone: make(chan struct{}), slots: make(chan struct{}, maxPending),
	}
	_ = d.inner.On("decoded", d.decoded) // fails only without a listener
	return d
}

const (
	// maxPending is how many events of one client may wait for their handlers before no more is read from it.
	maxPending = 1024
	// patience is how long the next packet waits for the handler of the last event. Most handlers are done by then, so
	// that, as in Node, a client's last event is handled before its disconnection is seen. It ends because a handler
	// may itself wait for an acknowledgement that has still to be read.
	patience = 5 * time.Millisecond
	// departure is the same for a client that takes leave: it waits for no acknowledgement any more.
	departure = time.Second
)

var (
	errPayload = errors.New("adapter: packet without the payload that its type needs")
	errPanic   = errors.New("adapter: packet that the parser does not survive")
)

// strictDecoder is the decoder of one client. Add is called for one packet at a time.
type strictDecoder struct {
	events.EventEmitter
	parser *strictParser
	inner  parser.Decoder
	err    error
	slots  chan struct{}
	last   *turn

	once sync.Once
	gone chan struct{}
}

// Add decodes a frame and has its packet handled. An error makes the library close the connection.
func (d *strictDecoder) Add(data any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	d.err = nil
	if err := d.inner.Add(data); err != nil {
		return err
	}
	return d.err
}

// Destroy ends what still waits for this client.
func (d *strictDecoder) Destroy() {
	d.once.Do(func() { close(d.gone) })
	d.inner.Destroy()
}

func (d *strictDecoder) decoded(args ...any) {
	p, ok := args[0].(*parser.Packet)
	if !ok {
		d.err = errPayload
		return
	}
	switch p.Type {
	case parser.CONNECT:
		if p.Data == nil {
			p.Data = map[string]any{}
		}
	case parser.EVENT, parser.BINARY_EVENT:
		d.event(p)
		return
	case parser.ACK, parser.BINARY_ACK:
		if _, ok := p.Data.([]any); !ok {
			d.err = errPayload
			return
		}
	case parser.DISCONNECT:
		if d.last != nil {
			d.await(d.last.done, departure)
		}
	}
	d.Emit("decoded", p)
}

// event hands an event over with its turn, which the library carries unseen behind the arguments, and returns when it
// is in line.
func (d *strictDecoder) event(p *parser.Packet) {
	data, ok := p.Data.([]any)
	if !ok || len(data) == 0 {
		d.err = errPayload
		return
	}
	if _, ok := data[0].(string); !ok {
		d.err = errPayload
		return
	}
	if !d.parser.ordered.Load() {
		d.Emit("decoded", p)
		return
	}
	select {
	case d.slots <- struct{}{}:
	case <-d.gone:
		return
	}
	t := newTurn(func() { <-d.slots })
	p.Data = t.carry(data)
	d.Emit("decoded", p)
	select {
	case <-t.arrived:
	case <-d.gone:
		t.finish()
		return
	}
	d.last = t
	d.await(t.done, patience)
}

func (d *strictDecoder) await(done <-chan struct{}, limit time.Duration) {
	select {
	case <-done:
		return
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-d.gone:
	case <-timer.C:
	}
}
