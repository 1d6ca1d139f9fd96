package engineio

// runes follows UTF-8 from byte to byte.
type runes struct {
	left     int8 // bytes of the character that are still to come
	from, to byte // what the next of them may be
}

// take reports whether c may come next (RFC 3629, 4).
func (r *runes) take(c byte) bool {
	if r.left > 0 {
		ok := r.from <= c && c <= r.to
		*r = runes{r.left - 1, 0x80, 0xbf}
		return ok
	}
	*r = runes{0, 0x80, 0xbf}
	switch {
	case c < 0x80:
		return true
	case c < 0xc2 || c > 0xf4:
		return false
	case c < 0xe0:
		r.left = 1
	case c < 0xf0:
		r.left = 2
	default:
		r.left = 3
	}
	switch c {
	case 0xe0:
		r.from = 0xa0
	case 0xed:
		r.to = 0x9f
	case 0xf0:
		r.from = 0x90
	case 0xf4:
		r.to = 0x8f
	}
	return true
}
