package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"

	"github.com/zishang520/engine.io/v2/types"
)

// Normalize turns v into the few types that the wire knows, and copies lists and maps. Local and remote clients then
// receive the same: binary stays binary where the library looks for it (in lists and maps), everything else is what its
// JSON says. A reader is read to its end here, once, because encoding it for local clients would leave nothing for the
// wire.
func Normalize(v any) (any, error) { return normalize(v, 0) }

// NormalizeList does the same for the arguments of an event.
func NormalizeList(v []any) ([]any, error) { return normalizeList(v, 0) }

func normalize(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
		return v, nil
	case []byte:
		return bytes.Clone(v), nil // the caller may use its buffer again as soon as Emit has returned
	case float64:
		return finite(v), nil
	case *types.StringBuffer:
		return v.String(), nil
	case *strings.Reader:
		b, err := io.ReadAll(v)
		return string(b), err
	case io.Reader:
		b, err := io.ReadAll(v)
		if c, ok := v.(io.Closer); ok {
			_ = c.Close() // the bytes are read; a failing Close changes nothing for the message
		}
		return b, err
	case []any:
		return normalizeList(v, depth)
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			n, err := normalize(e, depth+1)
			if err != nil {
				return nil, err
			}
			m[k] = n
		}
		return m, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeJSON(b)
}

func normalizeList(v []any, depth int) ([]any, error) {
	list := make([]any, len(v))
	for i, e := range v {
		n, err := normalize(e, depth+1)
		if err != nil {
			return nil, err
		}
		list[i] = n
	}
	return list, nil
}

// decodeJSON reads one JSON value; whole numbers stay whole, so that an integer of 64 bits survives.
func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return plainNumbers(v), nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return nil // beyond a double: JavaScript reads Infinity, which JSON cannot carry on
		}
		return f
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	}
	return v
}

// AsArrived turns a decoded value into what the library hands to handlers for the same value from a client of its own:
// numbers as float64, binary as types.BufferInterface.
func AsArrived(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case []byte:
		return types.NewBytesBuffer(v)
	case []any:
		for i, e := range v {
			v[i] = AsArrived(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = AsArrived(e)
		}
	}
	return v
}

func hasBinary(v any) bool {
	switch v := v.(type) {
	case []byte:
		return true
	case []any:
		for _, e := range v {
			if hasBinary(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if hasBinary(e) {
				return true
			}
		}
	case Object:
		return hasBinary(map[string]any(v))
	}
	return false
}

// Object is one decoded message. Its methods never fail: a field that is missing or of another type reads as zero, and
// the caller decides whether the message still makes sense.
type Object map[string]any

// DecodeObject reads a message in either of the two forms that Node's adapters send: JSON, told by its first byte, or
// msgpack.
func DecodeObject(b []byte) (Object, error) {
	var v any
	var err error
	if len(b) > 0 && b[0] == '{' {
		v, err = decodeJSON(b)
	} else {
		v, err = decodeMsgpack(b)
	}
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errType
	}
	return m, nil
}

// encode writes o as JSON, or as msgpack where it carries binary, which JSON would lose.
func (o Object) encode() ([]byte, error) {
	if hasBinary(o) {
		return appendMsgpack(nil, o, 0)
	}
	return json.Marshal(map[string]any(o))
}

func (o Object) Text(key string) string {
	s, _ := o[key].(string)
	return s
}

func (o Object) flag(key string) bool {
	b, _ := o[key].(bool)
	return b
}

func (o Object) List(key string) []any {
	l, _ := o[key].([]any)
	return l
}

func (o Object) object(key string) Object {
	m, _ := o[key].(map[string]any)
	return m
}

func (o Object) has(key string) bool {
	v, ok := o[key]
	return ok && v != nil
}

// number reads a whole number that fits an int64 from any kind of number.
func (o Object) number(key string) (int64, bool) {
	switch v := o[key].(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}
