package engineio_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/engineio"
)

const openJSON = `{"sid":"` + sid + `","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

var opened = engineio.Open{SID: sid, PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, MaxPayload: 1_000_000, WebSocket: true}

// openAnswers are the starts of handshakes' answers, in each framing.
var openAnswers = []struct {
	name string
	q    engineio.Query
	body string
}{
	{"EIO 4", v4, "0" + openJSON},
	{"EIO 4 with more", v4, "0" + openJSON + "\x1e40"},
	{"EIO 3", v3, "118:0" + openJSON + "2:40"},
	{"EIO 3 to a query of EIO 4", v4, "118:0" + openJSON + "2:40"},
	{"EIO 3, bytes", v3, "\x00\x01\x01\x08\xff0" + openJSON + "\x00\x02\xff40"},
	{"JSONP, EIO 4", v4j, "___eio[7](" + quote("0"+openJSON) + ");"},
	{"JSONP, EIO 3", v3j, "___eio[7](" + quote("118:0"+openJSON+"2:40") + ");"},
}

func quote(s string) string {
	literal, _ := json.Marshal(s)
	return string(literal)
}

func TestFindOpen(t *testing.T) {
	for _, c := range openAnswers {
		if o, err := engineio.FindOpen(c.q, []byte(c.body)); err != nil || o != opened {
			t.Errorf("%s: %+v, %v", c.name, o, err)
		}
	}
}

func TestFindOpenAsksForMoreUntilThePacketIsWhole(t *testing.T) {
	for _, c := range openAnswers {
		found := false
		for n := range len(c.body) + 1 {
			o, err := engineio.FindOpen(c.q, []byte(c.body[:n]))
			switch {
			case err == nil:
				found = true
				if o != opened {
					t.Errorf("%s: %+v of %q", c.name, o, c.body[:n])
				}
			case found || err != engineio.ErrShort:
				t.Errorf("%s: %v of %q", c.name, err, c.body[:n])
			}
		}
	}
}

func TestFindOpenReadsWhatNodesMaySay(t *testing.T) {
	for _, c := range []struct {
		object string
		want   engineio.Open
	}{
		{`{"sid":"a"}`, engineio.Open{SID: "a"}},
		{` { "sid" : "a" , "pingTimeout" : 5000 } `, engineio.Open{SID: "a", PingTimeout: 5 * time.Second}},
		{`{"maxPayload":5,"pingInterval":1,"sid":"a"}`, engineio.Open{SID: "a", PingInterval: time.Millisecond, MaxPayload: 5}},
		{`{"sid":"a","pingInterval":2.5e4,"pingTimeout":1500.75}`, engineio.Open{SID: "a", PingInterval: 25 * time.Second, PingTimeout: 1500 * time.Millisecond}},
		{`{"sid":"a","pingInterval":-1,"pingTimeout":null,"maxPayload":"x"}`, engineio.Open{SID: "a"}},
		{`{"sid":"a","pingInterval":1e999,"maxPayload":1e300}`, engineio.Open{SID: "a", PingInterval: math.MaxInt32 * time.Millisecond, MaxPayload: math.MaxInt32}},
		{`{"sid":"a","upgrades":[ "webtransport" , "websocket" ]}`, engineio.Open{SID: "a", WebSocket: true}},
		{`{"sid":"a","upgrades":["webtransport"]}`, engineio.Open{SID: "a"}},
		{`{"sid":"a","upgrades":["websocket"],"upgrades":[]}`, engineio.Open{SID: "a"}},
		{`{"SID":"b","sid":"a","Sid":"c"}`, engineio.Open{SID: "a"}},
		{`{"sid":"b","sid":"a"}`, engineio.Open{SID: "a"}},
		{`{"sid":"a\u002db"}`, engineio.Open{SID: "a-b"}},
		{`{"\u0073id":"a"}`, engineio.Open{SID: "a"}},
		{`{"x":{"sid":"b","y":[[],[{}],-0.5E+3,true,false,null,"]}\"\\"]},"sid":"a"}`, engineio.Open{SID: "a"}},
		{`{"name":"J` + "\u00f6\u20ac\U0001f600" + `rg","sid":"a"}`, engineio.Open{SID: "a"}},
	} {
		for _, q := range []engineio.Query{v4, v3, v4j, v3j} {
			body := encodePackets([]string{"0" + c.object, "40"}, q.Version, false)
			if q.Version == 4 {
				body = "0" + strings.TrimSpace(c.object) + "\x1e40"
			} else if strings.HasSuffix(c.object, " ") {
				continue
			}
			if q.JSONP != "" {
				body = "___eio[7](" + quote(body) + ");"
			}
			if o, err := engineio.FindOpen(q, []byte(body)); err != nil || o != c.want {
				t.Errorf("%+v: %q: %+v, %v", q, body, o, err)
			}
		}
	}
}

// noOpens begin with no open packet.
var noOpens = []struct {
	q    engineio.Query
	body string
}{
	{v4, "40\x1e"},
	{v4, "<html>"},
	{v4, `{"code":1,"message":"Session ID unknown"}`},
	{v4, "\x1f\x8b\x08"},
	{v4, "00"},
	{v4, `0[]`},
	{v4, `0{}`},
	{v4, `0{"sid":5}`},
	{v4, `0{"sid":"a",}`},
	{v4, `0{"sid":"a"x`},
	{v4, `0{"sid" "a"}`},
	{v4, `0{sid:"a"}`},
	{v4, `0{"sid":"a"}x`},
	{v4, `0{"sid":"a","x":01}`},
	{v4, `0{"sid":"a","x":-}`},
	{v4, `0{"sid":"a","x":1.}`},
	{v4, `0{"sid":"a","x":tru}`},
	{v4, `0{"sid":"a","x":"\x"}`},
	{v4, `0{"sid":"a","x":"\u12g4"}`},
	{v4, "0{\"sid\":\"a\x1e\"}"},
	{v4, "0{\"sid\":\"a\x00\"}"},
	{v4, `0{"sid":"a","x":` + strings.Repeat("[", 100)},
	{v4, `0{"sid":"a","x":"` + strings.Repeat("x", engineio.OpenLimit)},
	{v3, `11:0{"sid":"a"}2:40`},
	{v3, `13:0{"sid":"a"}2:40`},
	{v3, "2:40"},
	{v3, "1234567890"},
	{v3, "1x"},
	{v3, "\x00\x0a\xff"},
	{v3, "\x00\xff"},
	{v3, "\x01\x01\xff"},
	{v3, "\x00\x02\xff40"},
	{v4j, "___eio[8](\"0"},
	{v4j, "0" + openJSON},
	{v4j, `___eio[7]("1");`},
	{v4j, `___eio[7]("0{");`},
	{v4j, `___eio[7]("\uzzzz`},
}

func TestFindOpenFindsNone(t *testing.T) {
	for _, c := range noOpens {
		if o, err := engineio.FindOpen(c.q, []byte(c.body)); !errors.Is(err, engineio.ErrNoOpen) {
			t.Errorf("%+v: %.80q: %+v, %v", c.q, c.body, o, err)
		}
	}
}

func TestFindOpenNamesABadSID(t *testing.T) {
	for _, s := range []string{"", "a b", "a/b", "a\u00e4", strings.Repeat("a", 129)} {
		_, err := engineio.FindOpen(v4, []byte(`0{"sid":"`+s+`"}`))
		if !errors.Is(err, engineio.ErrOpenSID) || !errors.Is(err, engineio.ErrNoOpen) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// googollee are the answers of github.com/googollee/go-socket.io 1.7.0, byte for byte but for the sid: encoding/json's
// Encoder ends the object with a line end, which the lengths count.
var googollee = []struct {
	query, body string
}{
	{"EIO=3&transport=polling", "\x00\a\t\xff" + googolleeOpen + "\n"},
	{"EIO=3&transport=polling&b64=1", "79:" + googolleeOpen + "\n"},
	{"EIO=3&transport=polling&j=7", `___eio[7]("79:` + strings.ReplaceAll(googolleeOpen, `"`, `\"`) + `\u000A");`},
	{"EIO=4&transport=polling", "\x00\a\t\xff" + googolleeOpen + "\n"},
}

const googolleeOpen = `0{"sid":"1","upgrades":["websocket"],"pingInterval":20000,"pingTimeout":60000}`

func TestFindOpenReadsGosEncoder(t *testing.T) {
	want := engineio.Open{SID: "1", PingInterval: 20 * time.Second, PingTimeout: time.Minute, WebSocket: true}
	for _, c := range googollee {
		q, err := engineio.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		for n := range strings.LastIndex(c.body, "}") + 1 {
			if _, err := engineio.FindOpen(q, []byte(c.body[:n])); err != engineio.ErrShort {
				t.Errorf("%s: %v of %q", c.query, err, c.body[:n])
			}
		}
		if o, err := engineio.FindOpen(q, []byte(c.body)); err != nil || o != want {
			t.Errorf("%s: %+v, %v", c.query, o, err)
		}
	}
	want.WebSocket = false
	message := frame(0x81, strings.Replace(googolleeOpen, `["websocket"]`, "[]", 1)+"\n") + frame(0x81, "40")
	if o, err := engineio.FindOpenFrame([]byte(message)); err != nil || o != want {
		t.Errorf("in a frame: %+v, %v", o, err)
	}
}

// JSON's white space may follow the object, as JSON.parse allows; anything else may not.
func TestFindOpenPassesOverWhiteSpace(t *testing.T) {
	for space, want := range map[string]bool{"\n": true, " \t\r\n": true, "\v": false, "\u00a0": false, "\nx": false, "\n{}": false} {
		packet := "0" + openJSON + space
		for _, q := range []engineio.Query{v4, v3, v4j, v3j} {
			body := encodePackets([]string{packet, "40"}, q.Version, false)
			if q.JSONP != "" {
				body = "___eio[7](" + quote(body) + ");"
			}
			if o, err := engineio.FindOpen(q, []byte(body)); (o == opened) != want || (err == nil) != want {
				t.Errorf("%+v: %q: %+v, %v", q, body, o, err)
			}
		}
		if o, err := engineio.FindOpen(v3, []byte(encodePackets([]string{packet}, 3, true))); (o == opened) != want {
			t.Errorf("in bytes: %q: %+v, %v", space, o, err)
		}
		if o, err := engineio.FindOpenFrame([]byte(frame(0x81, packet))); (o == opened) != want {
			t.Errorf("in a frame: %q: %+v, %v", space, o, err)
		}
	}
}

func TestFindOpenAllocatesTheSID(t *testing.T) {
	for _, c := range openAnswers {
		body, most := []byte(c.body), 1.0
		if c.q.JSONP != "" {
			most = 2
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = engineio.FindOpen(c.q, body) }); n > most {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkFindOpen(b *testing.B) {
	for _, c := range openAnswers {
		b.Run(c.name, func(b *testing.B) {
			body := []byte(c.body)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := engineio.FindOpen(c.q, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzFindOpen holds FindOpen against encoding/json: an open packet of revision 4 that it finds is one that
// encoding/json reads the same; one that it misses is one that encoding/json refuses too, and one of which it asks for more
// is one that encoding/json's Decoder finds cut.
func FuzzFindOpen(f *testing.F) {
	for i, c := range openAnswers {
		f.Add(i, []byte(c.body))
	}
	for _, object := range []string{`{"sid":"a\u002db","x":[{},[1e5,-0.5,true,null]]}`, `{"sid":"a","pingInterval":1e999}`, `{}`} {
		f.Add(0, []byte("0"+object))
	}
	f.Fuzz(func(t *testing.T, form int, body []byte) {
		q := forms[uint(form)%uint(len(forms))]
		o, err := engineio.FindOpen(q, body)
		if (err == nil) != engineio.ValidSID(o.SID) || err != nil && err != engineio.ErrShort && !errors.Is(err, engineio.ErrNoOpen) {
			t.Fatalf("%q: %+v, %v", body, o, err)
		}
		if err == engineio.ErrShort && len(body) >= engineio.OpenLimit {
			t.Fatal("asks for more than the limit")
		}
		if q.JSONP != "" || len(body) < 2 || body[0] != '0' {
			return
		}
		object, _, _ := strings.Cut(string(body[1:]), "\x1e")
		var whole json.RawMessage
		cut := errors.Is(json.NewDecoder(strings.NewReader(object)).Decode(&whole), io.ErrUnexpectedEOF)
		judged := strings.Contains(object, "sid") || strings.Contains(object, `\u`) // a sid that is no string is refused before the end
		if object == string(body[1:]) && strings.HasPrefix(object, "{") && !deep(object) && len(body) < engineio.OpenLimit &&
			cut != (err == engineio.ErrShort) && !(cut && judged) {
			t.Errorf("%q: %v, but cut is %v", body, err, cut)
		}
		var want map[string]any
		jsonErr := json.Unmarshal([]byte(object), &want)
		sid, _ := want["sid"].(string)
		switch {
		case err == nil && jsonErr != nil && json.Valid([]byte(object)):
			// A number that encoding/json cannot hold is none of its business.
		case err == nil && (jsonErr != nil || sid != o.SID || want["maxPayload"] != nil && !samePayload(want["maxPayload"], o.MaxPayload)):
			t.Errorf("%q: %+v, encoding/json reads %v, %v", body, o, want, jsonErr)
		case err != nil && jsonErr == nil && engineio.ValidSID(sid) && !deep(object) && len(body) < engineio.OpenLimit:
			t.Errorf("%q: %v, encoding/json reads %v", body, err, want)
		}
	})
}

func samePayload(want any, got int64) bool {
	n, ok := want.(float64)
	return !ok && got == 0 || ok && got == int64(max(0, min(n, math.MaxInt32)))
}

// deep reports whether object may be nested deeper than FindOpen goes.
func deep(object string) bool { return strings.Count(object, "[")+strings.Count(object, "{") > 16 }

func frame(first byte, payload string) string {
	if len(payload) < 126 {
		return string([]byte{first, byte(len(payload))}) + payload
	}
	return string([]byte{first, 126, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// openMessages are what nodes may send after a 101, up to the end of the open packet.
var openMessages = map[string]string{
	"one frame":        frame(0x81, "0"+openJSON),
	"fragments":        frame(0x01, "0"+openJSON[:20]) + frame(0x00, openJSON[20:40]) + frame(0x80, openJSON[40:]),
	"control frames":   frame(0x89, "") + frame(0x01, "0"+openJSON[:1]) + frame(0x8a, "x") + frame(0x80, openJSON[1:]),
	"an empty start":   frame(0x01, "") + frame(0x80, "0"+openJSON),
	"a 16-bit length":  "\x81\x7e\x00\x76" + "0" + openJSON,
	"a 64-bit length":  "\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x76" + "0" + openJSON,
	"a longer message": frame(0x81, "0"+strings.Replace(openJSON, "{", `{"x":"`+strings.Repeat("x", 200)+`",`, 1)),
}

func TestFindOpenFrame(t *testing.T) {
	for name, message := range openMessages {
		if o, err := engineio.FindOpenFrame([]byte(message + "\x81\x0240")); err != nil || o != opened {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		for n := range len(message) {
			if _, err := engineio.FindOpenFrame([]byte(message[:n])); err != engineio.ErrShort {
				t.Errorf("%s: %v of %q", name, err, message[:n])
			}
		}
	}
}

func TestFindOpenFrameFindsNone(t *testing.T) {
	for name, message := range map[string]string{
		"raw HTTP":             "HTTP/1.1 400 Bad Request\r\n",
		"its first byte":       "H",
		"compressed":           frame(0xc1, "0"+openJSON),
		"binary":               frame(0x82, "0"+openJSON),
		"masked":               "\x81\x85\x00\x00\x00\x000{}",
		"close":                "\x88\x02\x03\xe8",
		"a stray continuation": frame(0x80, "0"+openJSON),
		"two texts":            frame(0x01, "0{") + frame(0x81, "0"+openJSON),
		"another packet":       frame(0x81, "40"),
		"more behind it":       frame(0x81, "0"+openJSON+"x"),
		"less than it":         frame(0x81, "0"+openJSON[:50]),
		"empty":                frame(0x81, ""),
		"a fragmented ping":    "\x09\x00",
		"a long ping":          "\x89\x7e\x00\x80",
		"a huge frame":         "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
		"endless pings":        strings.Repeat("\x89\x00", engineio.OpenLimit/2),
	} {
		if o, err := engineio.FindOpenFrame([]byte(message)); !errors.Is(err, engineio.ErrNoOpen) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
}

// FuzzFindOpenFrame checks that a message reads the same whole and in fragments, and that an answer that is known does
// not change with what follows.
func FuzzFindOpenFrame(f *testing.F) {
	for _, message := range openMessages {
		f.Add([]byte(message), 3)
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		o, err := engineio.FindOpenFrame(b)
		if err == nil && !engineio.ValidSID(o.SID) {
			t.Fatalf("%q: %+v", b, o)
		}
		if cut = int(uint(cut) % uint(len(b)+1)); err == nil || errors.Is(err, engineio.ErrNoOpen) && len(b) < engineio.OpenLimit {
			if again, err2 := engineio.FindOpenFrame(append(b[:len(b):len(b)], "\x81\x0240"...)); again != o || err2 != err {
				t.Errorf("%q: %+v, %v; with more %+v, %v", b, o, err, again, err2)
			}
		}
		if _, partial := engineio.FindOpenFrame(b[:cut]); partial != nil && partial != engineio.ErrShort && err == nil {
			t.Errorf("%q: %v of %q", b, partial, b[:cut])
		}
		if len(b) > 1000 {
			return
		}
		whole, wholeErr := engineio.FindOpenFrame([]byte(frame(0x81, string(b))))
		parts, partsErr := engineio.FindOpenFrame([]byte(frame(0x01, string(b[:cut])) + "\x89\x00" + frame(0x80, string(b[cut:]))))
		if whole != parts || wholeErr != partsErr {
			t.Errorf("%q: whole %+v, %v; in parts %+v, %v", b, whole, wholeErr, parts, partsErr)
		}
	})
}
