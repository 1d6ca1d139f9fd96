package http1

// Limits of what is dropped.
const (
	maxChunkDigits = 16
	maxChunkExt    = 256     // bytes in one size line
	maxTrailers    = 8 << 10 // bytes in all
)

// chunkState is where in RFC 9112 section 7.1's grammar the next byte stands.
type chunkState uint8

const (
	chunkSize     chunkState = iota // first digit of a size
	chunkSizeMore                   // further digits, ';' or CR
	chunkExtStart                   // blanks behind a ';', then a name
	chunkExt                        // the rest of an extension
	chunkSizeLF                     // LF of a size line
	chunkData                       // data
	chunkDataCR                     // CR behind data
	chunkDataLF                     // LF behind data
	trailerStart                    // first byte of a trailer line
	trailerName                     // name of a trailer
	trailerValue                    // value of a trailer
	trailerLF                       // LF of a trailer line
	trailerLastLF                   // LF of the empty line that ends the body
)

// decode passes framing and returns the data among the bytes that are there, moved together where there was framing between.
func (b *Body) decode(in []byte) (data []byte, used int) {
	start, end, i := 0, 0, 0
	for i < len(in) && b.err == nil && b.kind != bodyDone {
		if b.state != chunkData {
			if e := b.step(in[i]); e != nil {
				b.fail(e)
			}
			i++
			continue
		}
		n := int(min(int64(len(in)-i), b.left))
		if start == end {
			start, end = i, i
		}
		if end < i {
			copy(in[end:], in[i:i+n])
		}
		end += n
		i += n
		if b.left -= int64(n); b.left == 0 {
			b.state = chunkDataCR
		}
	}
	return in[start:end], i
}

func (b *Body) fail(e *Error) {
	if b.node {
		e = e.fromNode()
	}
	b.err = e
}

// step takes one byte of framing.
func (b *Body) step(c byte) *Error {
	switch b.state {
	case chunkSize, chunkSizeMore:
		return b.stepSize(c)
	case chunkExtStart, chunkExt:
		return b.stepExt(c)
	case chunkSizeLF:
		if c != '\n' {
			return errChunkLine
		}
		b.counted = 0
		b.state = chunkData
		if b.left == 0 {
			b.state = trailerStart
		}
	case chunkDataCR:
		if c != '\r' {
			return errChunkEnd
		}
		b.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return errChunkEnd
		}
		b.state = chunkSize
	default:
		return b.stepTrailer(c)
	}
	return nil
}

// stepSize takes digits without blanks. RFC 9112 section 7.1.1 would have one before a ';' forgiven; senders do not write
// it and other parsers refuse it.
func (b *Body) stepSize(c byte) *Error {
	if class[c]&classHex != 0 {
		if b.counted++; b.counted > maxChunkDigits || b.left >= 1<<58 {
			return errChunkLarge
		}
		b.left = b.left<<4 | int64(hexValue(c))
		b.state = chunkSizeMore
		return nil
	}
	if b.state == chunkSize {
		return errChunkSize
	}
	b.counted = 0
	switch c {
	case '\r':
		b.state = chunkSizeLF
	case ';':
		b.state = chunkExtStart
	default:
		return errChunkSize
	}
	return nil
}

// stepExt passes an extension. What it says does not matter, only where its line ends, so that a name is asked for and
// the rest is any text.
func (b *Body) stepExt(c byte) *Error {
	if b.counted++; b.counted > maxChunkExt {
		return errChunkExt
	}
	switch {
	case b.state == chunkExtStart && class[c]&classToken != 0:
		b.state = chunkExt
	case b.state == chunkExtStart && c != ' ' && c != '\t':
		return errChunkExt
	case b.state == chunkExt && c == '\r':
		b.state = chunkSizeLF
	case class[c]&classValue == 0:
		return errChunkExt
	}
	return nil
}

// stepTrailer passes trailers, as strict as fields are.
func (b *Body) stepTrailer(c byte) *Error {
	if b.counted++; b.counted > maxTrailers {
		return errTrailerLarge
	}
	switch {
	case b.state == trailerLastLF && c == '\n':
		b.kind = bodyDone
	case b.state == trailerLF && c == '\n':
		b.state = trailerStart
	case b.state == trailerStart && c == '\r':
		b.state = trailerLastLF
	case b.state == trailerStart && class[c]&classToken != 0:
		b.state = trailerName
	case b.state == trailerName && c == ':':
		b.state = trailerValue
	case b.state == trailerName && class[c]&classToken != 0:
	case b.state == trailerValue && c == '\r':
		b.state = trailerLF
	case b.state == trailerValue && class[c]&classValue != 0:
	default:
		return errTrailer
	}
	return nil
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
