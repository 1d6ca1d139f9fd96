package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

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
