package wire

import (
	"encoding/binary"
	"errors"
	"math"
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

// EncodeMsgpack writes v as notepack.io does. It knows the values that Normalize returns, and no others.
func EncodeMsgpack(v any) ([]byte, error) { return appendMsgpack(nil, v, 0) }

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
	case Object:
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
