package http1

import (
	"math"
	"strings"
	"unsafe"
)

// Limits of a head and of what is dropped from a chunked body.
const (
	MaxHead   = 32 << 10 // bytes of a head with its last empty line
	MaxFields = 100      // fields of a head

	maxOptions = 100     // options of Connection: each is compared with each field
	keptRaw    = 4 << 10 // a head's memory above this is not kept for the next one
)

// Head is what requests and responses have in common. Its strings alias memory that the next head read into the same
// value reuses: clone what must live longer. It must not be copied while it is in use.
type Head struct {
	Minor  int     // 0 or 1, of HTTP/1.x
	Fields []Field // in the order of the wire, Host and framing fields included
	// ContentLength is the body's length: of a request 0 where none follows, of a response -1 where only the end of
	// the connection tells it. It means nothing when Chunked.
	ContentLength int64
	Chunked       bool // a chunked body follows
	Close         bool // the connection ends with this message
	Upgrade       bool // there is an Upgrade field
	WebSocket     bool // one Upgrade: websocket alone and Connection: upgrade, in HTTP/1.1

	seen     FieldSet
	repeated FieldSet
	options  options
	raw      []byte
}

// options are what the Connection fields ask for.
type options struct {
	close, keepAlive, upgrade bool
}

// Get returns the value of the first field with this ID, "" where there is none. It does not allocate.
func (h *Head) Get(id FieldID) string {
	if id == Other || !h.seen.Has(id) {
		return ""
	}
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return h.Fields[i].Value
		}
	}
	return ""
}

// Has reports whether there is a field with this ID, be its value empty.
func (h *Head) Has(id FieldID) bool { return id != Other && h.seen.Has(id) }

// Repeated reports whether there are two or more fields with this ID.
func (h *Head) Repeated(id FieldID) bool { return id != Other && h.repeated.Has(id) }

// AppendEndToEnd appends every field that may be passed on (Field.Hop unset) and is not in except, each with its CR LF
// and with single spaces behind the colons.
func (h *Head) AppendEndToEnd(dst []byte, except FieldSet) []byte {
	except &^= 1 << Other
	for i := range h.Fields {
		f := &h.Fields[i]
		if !f.Hop && !except.Has(f.ID) {
			dst = AppendField(dst, f.Name, f.Value)
		}
	}
	return dst
}

// reset empties h and lets go of memory that is too large to keep for an idle connection.
func (h *Head) reset() {
	if cap(h.raw) > keptRaw {
		h.raw = nil
		clear(h.Fields) // its strings would keep it
	}
	raw, fields := h.raw[:0], h.Fields[:0]
	*h = Head{Fields: fields, raw: raw}
}

// load copies a head's bytes and returns them as a string that lives until the next load.
func (h *Head) load(b []byte) string {
	h.raw = append(h.raw[:0], b...)
	return unsafe.String(unsafe.SliceData(h.raw), len(h.raw))
}

// parseFields reads the field lines in s, which is the end of what was loaded, up to and with the empty line. The caller
// has seen that each LF of s has its CR and that the first empty line ends s.
func (h *Head) parseFields(s string) *Error {
	for len(s) > len("\r\n") {
		if len(h.Fields) == MaxFields {
			return errFieldCount
		}
		n := span(s, classToken)
		if n == 0 && (s[0] == ' ' || s[0] == '\t') {
			return errFold
		}
		if n == 0 || s[n] != ':' {
			return errFieldName
		}
		name := s[:n]
		s = s[n+1:]
		n = valueSpan(h.raw[len(h.raw)-len(s):])
		if s[n] != '\r' || s[n+1] != '\n' {
			return errFieldValue
		}
		h.add(name, trim(s[:n]))
		s = s[n+2:]
	}
	return h.parseConnection()
}

func (h *Head) add(name, value string) {
	id := fieldID(name)
	if id != Other {
		h.repeated |= h.seen & (1 << id)
		h.seen |= 1 << id
	}
	h.Fields = append(h.Fields, Field{Name: name, Value: value, ID: id, Hop: hopByHop.Has(id)})
}

// parseConnection reads the Connection fields (RFC 9110 section 7.6.1). What is not a token names nothing.
func (h *Head) parseConnection() *Error {
	if !h.seen.Has(Connection) {
		return nil
	}
	count := 0
	for i := range h.Fields {
		if h.Fields[i].ID != Connection {
			continue
		}
		for list := h.Fields[i].Value; list != ""; {
			var option string
			option, list = element(list)
			if count++; count > maxOptions {
				return errOptions
			}
			h.option(option)
		}
	}
	return nil
}

func (h *Head) option(name string) {
	switch {
	case equalFold(name, "keep-alive"):
		h.options.keepAlive = true
	case equalFold(name, "close"):
		h.options.close = true
	case equalFold(name, "upgrade"):
		h.options.upgrade = true
	default:
		for i := range h.Fields {
			if f := &h.Fields[i]; f.ID == Other && equalFold(f.Name, name) {
				f.Hop = true
			}
		}
	}
}

// parseFraming sets what the two sides decide alike: RFC 9112 section 6.3 for the body, 9.3 for the connection, RFC
// 9110 section 7.8 for Upgrade.
func (h *Head) parseFraming() *Error {
	h.Close = h.options.close || h.Minor == 0 && !h.options.keepAlive
	if h.seen.Has(Upgrade) && h.Minor == 1 {
		h.Upgrade = true
		h.WebSocket = h.options.upgrade && !h.Repeated(Upgrade) && equalFold(h.Get(Upgrade), "websocket")
	}
	if h.seen.Has(TransferEncoding) {
		switch {
		case h.Minor == 0:
			return errCodingOld
		case h.seen.Has(ContentLength):
			return errLengthCoding
		case h.Repeated(TransferEncoding) || !equalFold(h.Get(TransferEncoding), "chunked"):
			return errCoding
		}
		h.Chunked = true
	}
	if h.seen.Has(ContentLength) {
		if h.Repeated(ContentLength) {
			return errLengthTwice
		}
		n, ok := parseLength(h.Get(ContentLength))
		if !ok {
			return errLength
		}
		h.ContentLength = n
	}
	return nil
}

// parseLength reads digits alone, without sign, blank, comma or overflow.
func parseLength(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, s != ""
}

// parseVersion reads HTTP/1.0 or HTTP/1.1, in capitals (RFC 9112 section 2.3).
func parseVersion(s string) (minor int, e *Error) {
	switch s {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	if len(s) == len("HTTP/1.1") && strings.HasPrefix(s, "HTTP/") && s[6] == '.' &&
		class[s[5]]&class[s[7]]&classDigit != 0 {
		return 0, errVersion
	}
	return 0, errVersionForm
}
