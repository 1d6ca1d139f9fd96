package packet

// Frame reads the frame at the start of b and returns its length, 0 where it is cut.
func Frame(b []byte) (op byte, payload []byte, n int) {
	h, ok := parseHeader(b)
	if !ok || uint64(len(b)-h.size) < h.length {
		return 0, nil, 0
	}
	n = h.size + int(h.length)
	return h.op, h.unmask(nil, b[h.size:n], 0), n
}

// Refused reports whether a message of the client was refused.
func (s *Session) Refused() bool { return s.sentry.refused }
