package mend

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	enginepacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
)

// CreateTransport implements engine.BaseServer.
func (e *guardedEngine) CreateTransport(name string, ctx *types.HttpContext) (transports.Transport, error) {
	if name != transports.POLLING {
		return e.Server.CreateTransport(name, ctx)
	}
	var p transports.Polling = &wholePolling{closingPolling{Polling: transports.MakePolling()}}
	if ctx.Query().Has("j") {
		p = &closingPolling{Polling: transports.MakeJSONP()}
	}
	p.Prototype(p)
	p.Construct(ctx)
	return p, nil
}

// closeLimit is how long a session that the server ends waits for its client's next poll, as in Node.
const closeLimit = 30 * time.Second

// closingPolling is a polling transport that closes as Node's does: the close packet leaves behind the packets before it,
// with the next poll, and a POST that is being handled is answered. The library's may put both into one payload, of which
// the client handles the close packet first, and answers the POST with 429.
type closingPolling struct {
	transports.Polling

	mu     sync.Mutex
	ending types.Callable // if set: the next poll that brings nothing else brings the close packet, and this ends the session
	poll   *heldAnswer    // of the last poll
}

// OnRequest implements transports.Transport.
func (p *closingPolling) OnRequest(ctx *types.HttpContext) {
	if a, ok := ctx.Response().(*heldAnswer); ok && ctx.Method() == http.MethodGet {
		p.mu.Lock()
		p.poll = a
		p.mu.Unlock()
	}
	p.Polling.OnRequest(ctx)
	p.mu.Lock()
	ending, poll := p.ending != nil, p.poll
	p.mu.Unlock()
	if ending {
		p.finish(poll, &enginepacket.Packet{Type: enginepacket.NOOP})
	}
}

// finish answers a poll that still waits with packets and the close packet.
func (p *closingPolling) finish(poll *heldAnswer, packets ...*enginepacket.Packet) {
	p.Emit("ready") // returns behind a flush that has begun, whose packets answer this poll
	p.mu.Lock()
	end := p.ending
	if end == nil || p.poll != poll || !p.Writable() {
		p.mu.Unlock()
		return
	}
	p.ending = nil
	p.mu.Unlock()
	poll.behind(end) // its listeners must not run under the engine's lock, and the client's next request finds no session
	p.Send(append(packets, &enginepacket.Packet{Type: enginepacket.CLOSE}))
}

// DoClose implements transports.Transport.
func (p *closingPolling) DoClose(fn types.Callable) {
	end := func() {
		if fn != nil {
			fn()
		}
		p.OnClose()
	}
	if p.Discarded() {
		if p.Writable() {
			p.Send([]*enginepacket.Packet{{Type: enginepacket.CLOSE}})
		}
		end()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := time.AfterFunc(closeLimit, end)
	p.ending = func() {
		limit.Stop()
		end()
	}
	if p.Writable() {
		go p.finish(p.poll)
	}
}

// wholePolling is a polling transport that reads packets of any size and ends a session that sends no packets at all; the
// library's stops, without a word, at the first packet above 64 KiB and at what it cannot read.
type wholePolling struct{ closingPolling }

// OnData reads a payload: in EIO 4, packets with a record separator between them.
func (p *wholePolling) OnData(data types.BufferInterface) {
	if p.Protocol() == 3 {
		p.onData3(data)
		return
	}
	for part := range bytes.SplitSeq(data.Bytes(), []byte{0x1e}) {
		pk, err := p.Parser().DecodePacket(types.NewStringBuffer(part))
		if err != nil {
			p.OnPacket(&enginepacket.Packet{Type: enginepacket.ERROR})
			return
		}
		if pk.Type == enginepacket.CLOSE {
			p.OnClose()
			return
		}
		p.OnPacket(pk)
	}
}

func (p *wholePolling) onData3(data types.BufferInterface) {
	var packets []*enginepacket.Packet
	var err error
	if _, binary := data.(*types.BytesBuffer); binary {
		packets, err = p.binaryPayload(data.Bytes())
	} else {
		packets, err = p.Parser().DecodePayload(data)
	}
	for _, pk := range packets {
		if pk.Type == enginepacket.CLOSE {
			p.OnClose()
			return
		}
		p.OnPacket(pk)
	}
	if err != nil {
		p.OnPacket(&enginepacket.Packet{Type: enginepacket.ERROR})
	}
}

// binaryPayload reads a binary payload of EIO 3: for each packet, 0 for text or 1 for binary, the length in bytes as raw
// digits, 0xff, and the packet. The library's reader loops for as many steps as a client names.
func (p *wholePolling) binaryPayload(b []byte) (packets []*enginepacket.Packet, err error) {
	for len(b) > 0 {
		head, rest, ok := bytes.Cut(b[1:], []byte{0xff})
		n := 0
		for _, digit := range head {
			if n = 10*n + int(digit); digit > 9 || n > len(rest) {
				return packets, errPayload
			}
		}
		if !ok || len(head) == 0 || n == 0 || b[0] > 1 {
			return packets, errPayload
		}
		body := types.NewStringBuffer(rest[:n])
		if b[0] == 1 {
			body = types.NewBytesBuffer(rest[:n])
		}
		pk, err := p.Parser().DecodePacket(body)
		if err != nil {
			return packets, err
		}
		packets, b = append(packets, pk), rest[n:]
	}
	return packets, nil
}
