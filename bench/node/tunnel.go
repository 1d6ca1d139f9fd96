//go:build linux

package node

import "github.com/sidway/sidway/bench/frame"

// frame answers the frame at the beginning of b and returns its length, 0 if it is not complete. An echo is built in
// place: a head without the mask is shorter by the mask.
func (n *Node) frame(c *conn, b []byte) (int, error) {
	h, err := frame.Parse(b)
	used := h.Size + h.Payload
	if err != nil || h.Size == 0 || len(b) < used {
		return 0, err
	}
	if !h.Masked {
		return 0, errRequest
	}
	frame.Mask(b[h.Size:used], h.Mask)
	first := h.First
	switch first {
	case frame.Close:
		c.last = true
	case frame.Ping:
		first = frame.Pong
	case frame.Pong:
		return used, nil
	default:
		if string(b[h.Size:used]) == connect {
			return used, n.write(c, n.connected())
		}
		n.stats.Frames++
	}
	const mask = len(h.Mask)
	frame.AppendHead(b[mask:mask], first, h.Payload)
	return used, n.write(c, b[mask:used])
}

// connect asks for a Socket.IO session.
const connect = "40"

// connected returns the frame that answers it, with a sid and a pid, as of an adapter by which the session can be recovered.
func (n *Node) connected() []byte {
	var packet [64]byte
	b := n.appendID(append(packet[:0], `40{"sid":"`...))
	b = append(n.appendID(append(b, `","pid":"`...)), `"}`...)
	n.answer = append(frame.AppendHead(n.answer[:0], frame.Text, len(b)), b...)
	return n.answer
}

// fanout writes a frame of size bytes to every tunnel and returns their number.
func (n *Node) fanout(size int) int {
	n.burst = append(frame.AppendHead(n.burst[:0], frame.Text, size), frame.Message(size)...)
	tunnels := 0
	for _, c := range n.conns {
		if c.fd < 0 || c.speaks != frames {
			continue
		}
		if err := n.write(c, n.burst); err != nil {
			n.close(c)
			continue
		}
		tunnels++
	}
	return tunnels
}
