package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/types"

	"github.com/sidway/sidway/adapter/internal/binjson"
	"github.com/sidway/sidway/adapter/internal/wire"
)

func encode(v any) ([]byte, error) {
	n, err := wire.Normalize(v)
	if err != nil {
		return nil, err
	}
	return wire.EncodeMsgpack(n)
}

// TestMsgpackAsNotepack holds our codec against notepack.io, byte for byte where it writes and value for value where it
// reads.
func TestMsgpackAsNotepack(t *testing.T) {
	node := startNotepack(t)
	values := []any{
		nil, true, false, "", "a", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("é", 200),
		strings.Repeat("z", 70_000), "🎉",
		[]byte{},
		[]byte{0, 255},
		bytes.Repeat([]byte{7}, 300), bytes.Repeat([]byte{7}, 70_000),
		[]any{},
		[]any{nil, "x"},
		map[string]any{},
		map[string]any{"k": []any{1.0}},
		0.5, -0.5, 5e-324,
		make([]any, 15), make([]any, 16), make([]any, 70_000),
	}
	for _, n := range []float64{1, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<53 - 1} {
		values = append(values, n, -n, n+1)
	}
	for _, n := range []float64{-32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1} {
		values = append(values, n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		values = append(values, randomValue(r, 3))
	}
	for _, v := range values {
		ours, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if !severalKeys(v) { // the order of keys is free
			if theirs := node.ask(map[string]any{"value": binjson.Pack(v)}); theirs != hex.EncodeToString(ours) {
				t.Errorf("ours %.80x, notepack's %.80s", ours, theirs)
			}
		}
		read, _ := node.ask(map[string]any{"hex": hex.EncodeToString(ours)}).(map[string]any)
		if !reflect.DeepEqual(read["v"], v) {
			t.Errorf("notepack reads another value for %x", ours[:min(len(ours), 40)])
		}
		back, err := wire.DecodeMsgpack(ours)
		if err != nil || !sameJSON(back, v) {
			t.Errorf("we read another value for %x: %v", ours[:min(len(ours), 40)], err)
		}
	}
}

func severalKeys(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if severalKeys(e) {
				return true
			}
		}
		return len(v) > 1
	case []any:
		for _, e := range v {
			if severalKeys(e) {
				return true
			}
		}
	}
	return false
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(binjson.Pack(doubles(a)))
	y, errY := json.Marshal(binjson.Pack(doubles(b)))
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// doubles makes every number the kind that JavaScript has.
func doubles(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		return v + 0 // notepack too writes -0 as 0
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = doubles(e)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for k, e := range v {
			object[k] = doubles(e)
		}
		return object
	}
	return v
}

func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return 1 + math.Trunc(math.Abs(r.NormFloat64())*math.Pow(2, float64(r.IntN(50))))
	case n == 3:
		return r.NormFloat64()
	case n == 4:
		return strings.Repeat("aé漢🎉", r.IntN(100))
	case n == 5:
		return bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(300))
	case n < 8 && depth > 0:
		list := make([]any, r.IntN(20))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	case depth > 0:
		object := map[string]any{}
		for range r.IntN(20) {
			object[strings.Repeat("k", 1+r.IntN(40))] = randomValue(r, depth-1)
		}
		return object
	}
	return "leaf"
}

// TestMsgpackHugeNumbers are whole, and beyond what notepack itself gets right: it writes 1e300 as 0.
func TestMsgpackHugeNumbers(t *testing.T) {
	node := startNotepack(t)
	for _, n := range []float64{1e19, -1e19, 1e300, math.MaxFloat64} {
		b, err := encode(n)
		if err != nil {
			t.Fatal(err)
		}
		read, _ := node.ask(map[string]any{"hex": hex.EncodeToString(b)}).(map[string]any)
		back, err := wire.DecodeMsgpack(b)
		if read["v"] != n || back != n || err != nil {
			t.Errorf("%v: notepack reads %v, we %v (%v)", n, read["v"], back, err)
		}
	}
}

// TestMsgpackOtherWriters reads what other writers of msgpack, and other versions of notepack, send.
func TestMsgpackOtherWriters(t *testing.T) {
	node := startNotepack(t)
	for _, c := range []struct{ name, hex, want string }{
		{"undefined", "d40000", "null"},
		{"date of notepack 2", "d7000000018bcfe56800", `"2023-11-14T22:13:20.000Z"`},
		{"timestamp 32", "d6ff6553f100", `"2023-11-14T22:13:20.000Z"`},
		{"timestamp 64", "d7ff75d21d006553f100", `"2023-11-14T22:13:20.494Z"`},
		{"timestamp 96, before 1970", "c70cff1dcd6500ffffffffffffffff", `"1969-12-31T23:59:59.500Z"`},
		{"array buffer", "c7020000ff", `{"$bin":"AP8="}`},
		{"float 32", "ca3fc00000", "1.5"},
		{"wide small integers", "94cf0000000000000001d3ffffffffffffffffce00000005d10005", "[1,-1,5,5]"},
		{"str 32 in array 32 in map 32", "df00000001db0000000161dd00000001c0", `{"a":[null]}`},
		{"map with number keys", "8201a1610aa162", `{"1":"a","10":"b"}`},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		v, err := wire.DecodeMsgpack(b)
		got, _ := json.Marshal(binjson.Pack(v))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
		theirs, _ := node.ask(map[string]any{"hex": c.hex}).(map[string]any)
		if !sameJSON(theirs["v"], v) {
			t.Errorf("%s: notepack reads %v, we %v", c.name, theirs["v"], v)
		}
	}
}

// TestMsgpackRefuses lists what must cost an error and neither a panic nor memory.
func TestMsgpackRefuses(t *testing.T) {
	for name, h := range map[string]string{
		"nothing": "", "unknown byte": "c1", "short string": "a5616263", "array longer than its bytes": "ddffffffff",
		"map longer than its bytes": "dfffffffff", "string longer than its bytes": "dbffffffff61", "bin longer": "c6ffffffff",
		"ext longer": "c9ffffffff00", "cut number": "cf0000", "cut length": "dc00", "cut float": "cb00", "cut ext": "d6ff00",
		"trailing bytes": "c0c0", "too deep": strings.Repeat("91", 600) + "c0", "map without value": "81a16b",
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := wire.DecodeMsgpack(b); err == nil {
			t.Errorf("%s: decoded as %v", name, v)
		}
	}
}

func TestNormalize(t *testing.T) {
	type point struct {
		X int    `json:"x"`
		B []byte `json:"b"`
	}
	cycle := map[string]any{}
	cycle["self"] = cycle
	buffer := []byte{1, 2}
	for _, c := range []struct {
		name string
		in   any
		want any
	}{
		{"struct", point{1, []byte{1}}, map[string]any{"x": int64(1), "b": "AQ=="}},
		{"typed list", []string{"a"}, []any{"a"}},
		{"NaN", math.NaN(), nil},
		{"infinity inside", []any{math.Inf(1)}, []any{nil}},
		{"large integer", uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{"small integer types", []any{int8(-1), uint16(9)}, []any{int64(-1), int64(9)}},
		{"date", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), "2024-01-02T03:04:05Z"},
		{"binary buffer", types.NewBytesBuffer([]byte("ab")), []byte("ab")},
		{"text buffer", types.NewStringBufferString("ab"), "ab"},
		{"text reader", strings.NewReader("ab"), "ab"},
		{"reader", bytes.NewReader([]byte("ab")), []byte("ab")},
		{"number text", json.Number("12"), int64(12)},
	} {
		got, err := wire.Normalize(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v (%v), want %#v", c.name, got, err, c.want)
		}
	}
	copied, _ := wire.Normalize(buffer)
	buffer[0] = 9
	if !reflect.DeepEqual(copied, []byte{1, 2}) {
		t.Error("the caller's buffer is shared")
	}
	if _, err := wire.Normalize(cycle); err == nil {
		t.Error("a cycle is accepted")
	}
	if _, err := wire.Normalize(make(chan int)); err == nil {
		t.Error("a channel is accepted")
	}
	if _, err := wire.Normalize(errReader{}); err == nil {
		t.Error("a reader that fails is accepted")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func FuzzMsgpack(f *testing.F) {
	for _, v := range []any{nil, 1.0, "text", []byte{1}, []any{1.0, map[string]any{"k": "v"}}} {
		b, err := encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := wire.DecodeMsgpack(b)
		if err != nil {
			return
		}
		again, err := encode(v)
		if err != nil {
			t.Fatalf("%v does not encode: %v", v, err)
		}
		w, err := wire.DecodeMsgpack(again)
		if err != nil || !sameJSON(v, w) {
			t.Fatalf("%#v became %#v (%v)", v, w, err)
		}
	})
}

func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`{"type":2,"opts":{"rooms":["a"],"except":[]},"rooms":["b"]}`, `{"type":5,"requestId":"r","opts":{"rooms":[],"except":[]}}`,
		`{"type":6,"uid":"u","requestId":"r","data":["ev",1]}`, `{"requestId":"r","sockets":[{"id":"i","handshake":{"headers":{"a":"b"},"query":{"q":["1","2"]}},"rooms":["i"],"data":{}}]}`,
		`{"type":8,"requestId":"r","clientCount":2}`, `{"requestId":"r","rooms":["a"]}`, `{"type":2,"sid":"s","room":"r"}`,
		`{"uid":"u","nsp":"/","type":3,"data":{"packet":{"type":2,"data":["x"],"nsp":"/"},"opts":{"rooms":[],"except":[],"flags":{"timeout":5}}}}`,
		`{"packet":{"type":2,"data":["x"],"nsp":"/"},"opts":{"rooms":[],"except":[]}}`,
	} {
		f.Add([]byte(s))
	}
	b, err := encode([]any{"uid", map[string]any{"type": 2, "data": []any{"e", []byte{1}}, "nsp": "/"}, map[string]any{"rooms": []any{}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		first, second, err := wire.Frame(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range first {
			if !reflect.DeepEqual(first[i], second[i]) {
				t.Fatalf("%#v became %#v", first[i], second[i])
			}
		}
	})
}
