package adapter

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxDepth bounds the nesting of what is encoded and decoded. Node's decoder has no bound, so a cyclic or hostile value
// would otherwise cost the whole stack.
const maxDepth = 512

var (
	errDepth     = errors.New("adapter: value is nested too deeply")
	errTruncated = errors.New("adapter: msgpack value is cut short")
	errTrailing  = errors.New("adapter: bytes behind the msgpack value")
	errUnknown   = errors.New("adapter: unknown msgpack byte 0xc1")
	errType      = errors.New("adapter: value of a type that the wire does not know")
)

// The layout of a type whose length follows in 1, 2 or 4 bytes.
const (
	mpNil, mpFalse, mpTrue    = 0xc0, 0xc2, 0xc3
	mpBin8, mpExt8            = 0xc4, 0xc7
	mpFloat32, mpFloat64      = 0xca, 0xcb
	mpUint8, mpInt8           = 0xcc, 0xd0
	mpFixext1                 = 0xd4
	mpStr8, mpArray16, mpMap  = 0xd9, 0xdc, 0xde
	mpFixmap, mpFixarray      = 0x80, 0x90
	mpFixstr, mpNegativeFixed = 0xa0, 0xe0
)

// appendMsgpack appends v as notepack.io writes it. It knows the values that normalize returns, and no others.
func appendMsgpack(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	switch v := v.(type) {
	case nil:
		return append(dst, mpNil), nil
	case bool:
		if v {
			return append(dst, mpTrue), nil
		}
		return append(dst, mpFalse), nil
	case string:
		return appendString(dst, v), nil
	case []byte:
		return append(appendLength(dst, mpBin8, len(v)), v...), nil
	case int:
		return appendInt(dst, int64(v)), nil
	case int64:
		return appendInt(dst, v), nil
	case uint64:
		return appendUint(dst, v), nil
	case float64:
		return appendFloat(dst, v), nil
	case []any:
		return appendArray(dst, v, depth)
	case []string:
		dst = appendHead(dst, mpFixarray, mpArray16, len(v))
		for _, s := range v {
			dst = appendString(dst, s)
		}
		return dst, nil
	case map[string]any:
		return appendMap(dst, v, depth)
	case object:
		return appendMap(dst, v, depth)
	}
	return dst, errType
}

func appendArray(dst []byte, v []any, depth int) ([]byte, error) {
	dst = appendHead(dst, mpFixarray, mpArray16, len(v))
	var err error
	for _, e := range v {
		if dst, err = appendMsgpack(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendMap(dst []byte, v map[string]any, depth int) ([]byte, error) {
	dst = appendHead(dst, mpFixmap, mpMap, len(v))
	var err error
	for k, e := range v {
		dst = appendString(dst, k)
		if dst, err = appendMsgpack(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendHead writes the head of an array or a map: in the first byte up to 15 elements, else in 2 or 4 bytes more.
func appendHead(dst []byte, fixed, wide byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, fixed|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, wide+1), uint32(n))
}

func appendLength(dst []byte, code byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, code, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code+1), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+2), uint32(n))
}

func appendString(dst []byte, s string) []byte {
	s = validText(s)
	if len(s) < 32 {
		return append(append(dst, mpFixstr|byte(len(s))), s...)
	}
	return append(appendLength(dst, mpStr8, len(s)), s...)
}

// validText makes U+FFFD of each wrong byte, as encoding/json does for the clients of this node.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, mpInt8, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, mpInt8+1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, mpInt8+2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpInt8+3), uint64(v))
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 128:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, mpUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, mpUint8+1), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, mpUint8+2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpUint8+3), v)
}

// appendFloat writes a whole number as an integer, since JavaScript has one kind of number and Node's side does the same.
func appendFloat(dst []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
		return appendInt(dst, int64(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, mpFloat64), math.Float64bits(v))
}

// decodeMsgpack reads one value that fills b: nil, bool, int64, uint64 (above an int64), float64, string, []byte,
// []any or map[string]any. Dates become the string that JavaScript's JSON has for them, undefined becomes nil. The value
// aliases nothing of b.
func decodeMsgpack(b []byte) (any, error) {
	d := decoder{b: b}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if len(d.b) != 0 {
		return nil, errTrailing
	}
	return v, nil
}

type decoder struct{ b []byte }

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.b) {
		return nil, errTruncated
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b, nil
}

// number reads n bytes as a big-endian unsigned integer.
func (d *decoder) number(n int) (uint64, error) {
	b, err := d.take(n)
	if err != nil {
		return 0, err
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// length reads a length of n bytes and refuses one that the bytes left cannot hold, before anything is allocated.
func (d *decoder) length(n int) (int, error) {
	v, err := d.number(n)
	if err != nil {
		return 0, err
	}
	if v > uint64(len(d.b)) {
		return 0, errTruncated
	}
	return int(v), nil
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	head, err := d.take(1)
	if err != nil {
		return nil, err
	}
	c := head[0]
	switch {
	case c < mpFixmap:
		return int64(c), nil
	case c >= mpNegativeFixed:
		return int64(int8(c)), nil
	case c < mpFixarray:
		return d.mapping(int(c&0x0f), depth)
	case c < mpFixstr:
		return d.array(int(c&0x0f), depth)
	case c < mpNil:
		return d.text(int(c & 0x1f))
	}
	return d.coded(c, depth)
}

// coded reads a value whose first byte is a code of its own.
func (d *decoder) coded(c byte, depth int) (any, error) {
	switch {
	case c == mpNil:
		return nil, nil
	case c == mpFalse, c == mpTrue:
		return c == mpTrue, nil
	case c >= mpBin8 && c < mpBin8+3:
		n, err := d.length(1 << (c - mpBin8))
		if err != nil {
			return nil, err
		}
		b, err := d.take(n)
		return append([]byte{}, b...), err
	case c >= mpExt8 && c < mpExt8+3:
		n, err := d.number(1 << (c - mpExt8))
		if err != nil {
			return nil, err
		}
		return d.ext(n)
	case c == mpFloat32, c == mpFloat64, c >= mpUint8 && c < mpFixext1:
		return d.numeral(c)
	case c >= mpFixext1 && c < mpFixext1+5:
		return d.ext(1 << (c - mpFixext1))
	case c >= mpStr8 && c < mpStr8+3:
		n, err := d.length(1 << (c - mpStr8))
		if err != nil {
			return nil, err
		}
		return d.text(n)
	case c == mpArray16, c == mpArray16+1:
		n, err := d.length(2 << (c - mpArray16))
		if err != nil {
			return nil, err
		}
		return d.array(n, depth)
	case c == mpMap, c == mpMap+1:
		n, err := d.length(2 << (c - mpMap))
		if err != nil {
			return nil, err
		}
		return d.mapping(n, depth)
	}
	return nil, errUnknown
}

func (d *decoder) numeral(c byte) (any, error) {
	switch c {
	case mpFloat32:
		v, err := d.number(4)
		return finite(float64(math.Float32frombits(uint32(v)))), err
	case mpFloat64:
		v, err := d.number(8)
		return finite(math.Float64frombits(v)), err
	}
	if c < mpInt8 {
		v, err := d.number(1 << (c - mpUint8))
		if v > math.MaxInt64 {
			return v, err
		}
		return int64(v), err
	}
	n := 1 << (c - mpInt8)
	v, err := d.number(n)
	shift := 64 - 8*n
	return int64(v<<shift) >> shift, err
}

// finite makes null of what JSON cannot hold, as JSON.stringify does: the library would send the packet without its data.
func finite(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

func (d *decoder) text(n int) (any, error) {
	b, err := d.take(n)
	return validText(string(b)), err
}

func (d *decoder) array(n, depth int) (any, error) {
	if n > len(d.b) {
		return nil, errTruncated
	}
	list := make([]any, n)
	var err error
	for i := range list {
		if list[i], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (d *decoder) mapping(n, depth int) (any, error) {
	if 2*n > len(d.b) {
		return nil, errTruncated
	}
	m := make(map[string]any, n)
	for range n {
		k, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m[keyText(k)] = v
	}
	return m, nil
}

// keyText is what JavaScript makes of a property name that is not a string.
func keyText(k any) string {
	switch k := k.(type) {
	case string:
		return k
	case int64:
		return strconv.FormatInt(k, 10)
	case uint64:
		return strconv.FormatUint(k, 10)
	case float64:
		return strconv.FormatFloat(k, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(k)
	}
	return "null"
}

// ext reads an extension of n bytes: type 0 is notepack's own (undefined in one byte, a date in eight, else an
// ArrayBuffer), type -1 the timestamp of the msgpack specification; any other is kept as its bytes.
func (d *decoder) ext(n uint64) (any, error) {
	kind, err := d.take(1)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(d.b)) {
		return nil, errTruncated
	}
	b, err := d.take(int(n))
	if err != nil {
		return nil, err
	}
	switch {
	case kind[0] == 0 && n == 1:
		return nil, nil
	case kind[0] == 0 && n == 8:
		return dateText(time.UnixMilli(int64(binary.BigEndian.Uint64(b)))), nil
	case kind[0] == 0xff && n == 4:
		return dateText(time.Unix(int64(binary.BigEndian.Uint32(b)), 0)), nil
	case kind[0] == 0xff && n == 8:
		v := binary.BigEndian.Uint64(b)
		return dateText(time.Unix(int64(v&(1<<34-1)), int64(v>>34))), nil
	case kind[0] == 0xff && n == 12:
		return dateText(time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))), nil
	}
	return append([]byte{}, b...), nil
}

// dateText is JavaScript's Date.prototype.toJSON: what a client receives for a date.
func dateText(t time.Time) any {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return nil
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
