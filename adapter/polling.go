package adapter

import (
	"bytes"

	enginepacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
)

// pollingEngine makes the polling transports of an engine.
type pollingEngine struct{ engine.Server }

// CreateTransport implements engine.BaseServer.
func (e *pollingEngine) CreateTransport(name string, ctx *types.HttpContext) (transports.Transport, error) {
	if name != transports.POLLING || ctx.Query().Has("j") {
		return e.Server.CreateTransport(name, ctx)
	}
	p := &wholePolling{transports.MakePolling()}
	p.Prototype(p)
	p.Construct(ctx)
	return p, nil
}

// wholePolling is a polling transport that reads packets of any size and ends a session that sends no packets at all; the
// library's stops, without a word, at the first packet above 64 KiB and at what it cannot read.
type wholePolling struct{ transports.Polling }

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
