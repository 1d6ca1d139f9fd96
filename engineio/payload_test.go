package engineio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sidway/sidway/engineio"
)

var (
	v4    = engineio.Query{Version: 4}
	v3    = engineio.Query{Version: 3}
	v4j   = engineio.Query{Version: 4, JSONP: "7"}
	v3j   = engineio.Query{Version: 3, JSONP: "7"}
	forms = []engineio.Query{v4, v3, v4j, v3j}
)

const client, node = true, false

// closeCases are payloads with and without a close packet.
var closeCases = []struct {
	q    engineio.Query
	body string
	from bool
	want bool
}{
	{v4, "", client, false},
	{v4, "1", client, true},
	{v4, "1", node, true},
	{v4, "40", client, false},
	{v4, "41", client, false},
	{v4, "6\x1e1", node, true},
	{v4, "4hello\x1e1", client, true},
	{v4, "4a\x1e1b", client, true}, // a packet is told by its first character alone
	{v4, "4a\x1eb1==\x1e41", client, false},
	{v4, "4a\x1e\x1e1", client, false}, // nodes stop at a packet without type
	{v4, "9\x1e1", client, false},
	{v4, "\x1f\x8b\x08\x1e1", node, false}, // gzip

	{v3, "1:1", client, true},
	{v3, "1:6", node, false},
	{v3, "1:61:1", node, true}, // Node's engine.io 6 to a poll of a session that it has closed
	{v3, "2:40", client, false},
	{v3, "2:411:1", client, true},
	{v3, "5:4\u00e4\u00f6\u00fc!1:1", client, true},
	{v3, "3:4\U0001f6001:1", client, true}, // two UTF-16 units
	{v3, "2:4\U0001f6001:1", client, false},
	{v3, "4:4\u20ac1:1", client, false}, // the length covers "4€1:", not four bytes
	{v3, "0:1:1", client, true},
	{v3, "2:1", client, false},
	{v3, "1:91:1", client, false},
	{v3, ":1:1", client, false},
	{v3, "x", client, false},
	{v3, "1", client, false},
	{v3, "1:", client, false},
	{v3, "2:b1", client, true},
	{v3, "1:b", client, false},
	{v3, "2:bd1:1", client, true},
	{v3, "9999999999:1", client, false},

	{v3, "\x00\x01\xff1", client, true},
	{v3, "\x00\x02\xff40\x00\x01\xff1", client, true},
	{v3, "\x01\x03\xff\x04ab\x00\x01\xff1", client, true},
	{v3, "\x01\x03\xff\x041:\x00\x01\xff6", client, false},
	{v3, "\x00\x01\x00\xff4123456789\x00\x01\xff1", client, true},
	{v3, "\x00\xff1", client, false},
	{v3, "\x00\x01", client, false},
	{v3, "\x00\x05\xff1", client, false},

	{v4j, `___eio[7]("1");`, node, true},
	{v4j, `___eio[7]("6");`, node, false},
	{v4j, `___eio[7]("6\u001e1");`, node, true},
	{v4j, `___eio[8]("1");`, node, false},
	{v4j, `1`, node, false},
	{v3j, `___eio[7]("1:1");`, node, true},
	{v3j, `___eio[7]("1:61:1");`, node, true},
	{v3j, `___eio[7]("4:4\"\n\u20281:1");`, node, true},
	{v3j, `___eio[7]("2:4\ud83d1:1");`, node, true}, // half a surrogate pair is a unit
	{v4j, "d=1", client, true},
	{v4j, "d=40%1E1", client, true},
	{v4j, "d=40", client, false},
	{v3j, "d=1%3A1", client, true},
	{v3j, "d=3%3A4%5Cn%5C%5Cn", client, false}, // "4", a line end, and a cut "\n"
	{v3j, "d=3:4%5Cna1:1", client, true},       // "\n" is one unit
	{v3j, "d=4:4%5C%5Cna1:1", client, true},    // "\\n" is two
	{v3j, "d=3:4++1:1", client, true},
	{v3j, "d=1:1&d=1:1", client, false},
	{v3j, "1:1", client, false},
}

func TestHasClose(t *testing.T) {
	for _, c := range closeCases {
		if got := hasClose(c.q, []byte(c.body), c.from); got != c.want {
			t.Errorf("HasClose(%+v, %q, client %v) = %v", c.q, c.body, c.from, got)
		}
	}
}

// TestHasCloseAgreesWithNode asks Node's own transports what each of many payloads means to them.
func TestHasCloseAgreesWithNode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var cases []payload
	for range 20_000 {
		q, from, packets := forms[r.IntN(len(forms))], r.IntN(2) == 0, randomPackets(r)
		c := payload{Version: q.Version, Client: from}
		c.Binary = q == v3 && r.IntN(3) == 0
		c.Body = []byte(encodePackets(packets, q.Version, c.Binary))
		if r.IntN(4) == 0 && len(c.Body) > 0 && !c.Binary {
			c.Body[r.IntN(len(c.Body))] = "0123456b:\\n"[r.IntN(11)]
			c.Body = []byte(strings.ToValidUTF8(string(c.Body), ""))
		}
		if q.JSONP != "" {
			c.JSONP = &q.JSONP
			c.Body = wrapForJSONP(q, c.Body, from)
		}
		cases = append(cases, c)
	}
	for i, want := range startReference(t).hasClose(cases) {
		c := cases[i]
		q := engineio.Query{Version: c.Version}
		if c.JSONP != nil {
			q.JSONP = *c.JSONP
		}
		if got := hasClose(q, c.Body, c.Client); got != want {
			t.Errorf("HasClose(%+v, %q, client %v) = %v, Node says %v", q, c.Body, c.Client, got, want)
		}
	}
}

func randomPackets(r *rand.Rand) []string {
	const alphabet = "16:ab\\n\n+%&d=\"\u00e4\u20ac\u2028\U0001f600"
	letters := []rune(alphabet)
	packets := make([]string, 1+r.IntN(3))
	for i := range packets {
		data := make([]rune, r.IntN(12))
		for j := range data {
			data[j] = letters[r.IntN(len(letters))]
		}
		packets[i] = string("44444061"[r.IntN(8)]) + string(data)
	}
	return packets
}

// encodePackets writes a payload as the protocol's documents say.
func encodePackets(packets []string, version int, binary bool) string {
	if version == 4 {
		return strings.Join(packets, "\x1e")
	}
	var b strings.Builder
	for _, p := range packets {
		if !binary {
			fmt.Fprintf(&b, "%d:%s", len(utf16.Encode([]rune(p))), p)
			continue
		}
		b.WriteByte(0)
		for _, digit := range strconv.Itoa(len(p)) {
			b.WriteByte(byte(digit - '0'))
		}
		b.WriteString("\xff" + p)
	}
	return b.String()
}

// wrapForJSONP writes what engine.io-client's and engine.io's JSONP transports write.
func wrapForJSONP(q engineio.Query, body []byte, fromClient bool) []byte {
	if !fromClient {
		literal, _ := json.Marshal(string(body))
		return fmt.Appendf(nil, "___eio[%s](%s);", q.JSONP, literal)
	}
	data := strings.ReplaceAll(string(body), "\\n", "\\\\n")
	return []byte("d=" + url.QueryEscape(strings.ReplaceAll(data, "\n", "\\n")))
}

func TestHasCloseDoesNotAllocate(t *testing.T) {
	for name, c := range closeBodies(20_000) {
		if n := testing.AllocsPerRun(10, func() { hasClose(c.q, c.body, c.from) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

type closeBody struct {
	q    engineio.Query
	body []byte
	from bool
}

func closeBodies(large int) map[string]closeBody {
	small := `42["message",{"text":"hello"}]`
	file := `42["file","` + strings.Repeat("x", large) + `"]`
	bodies := map[string]closeBody{}
	for _, q := range forms {
		for name, packets := range map[string][]string{"one": {small}, "three": {small, small, small}, "large": {file}, "large and small": {file, small}} {
			body := []byte(encodePackets(packets, q.Version, false))
			if q.JSONP == "" {
				bodies[fmt.Sprintf("EIO %d, %s", q.Version, name)] = closeBody{q, body, client}
				continue
			}
			bodies[fmt.Sprintf("EIO %d, JSONP, %s, client", q.Version, name)] = closeBody{q, wrapForJSONP(q, body, client), client}
			bodies[fmt.Sprintf("EIO %d, JSONP, %s, node", q.Version, name)] = closeBody{q, wrapForJSONP(q, body, node), node}
		}
	}
	return bodies
}

func BenchmarkHasClose(b *testing.B) {
	for name, c := range closeBodies(700_000) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				if hasClose(c.q, c.body, c.from) {
					b.Fatal("no close packet was sent")
				}
			}
		})
	}
}

// hasClose reports whether there is a close packet in a body of either side.
func hasClose(q engineio.Query, body []byte, from bool) bool {
	if from == node {
		return engineio.HasClose(q, body)
	}
	var p engineio.Payload
	reset(&p, q, from)
	p.Next(body, true)
	return p.Closes
}

func reset(p *engineio.Payload, q engineio.Query, from bool) {
	if p.Reset(q); from == client {
		p.ResetPost(q)
	}
}

// found is what a Payload says of itself.
type found struct {
	closes, oddEvent, opaque bool
	attachments              int
}

func lookThrough(q engineio.Query, from bool, pieces ...[]byte) found {
	var p engineio.Payload
	reset(&p, q, from)
	for i, piece := range pieces {
		p.Next(piece, i == len(pieces)-1)
	}
	return found{p.Closes, p.OddEvent, p.Opaque, p.Attachments}
}

// inPieces cuts a body into pieces of one to seven bytes.
func inPieces(body []byte) (pieces [][]byte) {
	for n := 1; len(body) > n; n = n%7 + 1 {
		pieces = append(pieces, body[:n:n])
		body = body[n:]
	}
	return append(pieces, body)
}

const illegal = math.MaxInt

// Packets whose numbers of attachments, or whose events' names, make nodes of some versions wait for ever or end.
var packetCases = []struct {
	packet      string
	attachments int
	oddEvent    bool
}{
	{`42["message","51-"]`, 0, false},
	{`451-["file",{"_placeholder":true,"num":0}]`, 1, false},
	{`4512-/chat,17["file",{}]`, 12, false},
	{`462-["a",{}]`, 2, false},
	{`461-[{"_placeholder":true,"num":0}]`, 1, false}, // what is acknowledged with has no name
	{`43[{}]`, 0, false},
	{`450-["a"]`, illegal, false},
	{`45-["a"]`, illegal, false},
	{`4599999999999-["a"]`, illegal, false},
	{`451e9-["a"]`, illegal, false},
	{`450x7f-["a"]`, illegal, false},
	{`45Infinity-["a"]`, illegal, false},
	{"45\u00a05-[\"a\"]", illegal, false},
	{`45 apples, 6-packed`, 0, false}, // of an application that uses Engine.IO alone
	{`45`, 0, false},
	{`42[{"toString":"x"}]`, 0, true},
	{`42/chat,7[{}]`, 0, true},
	{"42 \n[ \t[1]]", 0, true},
	{`42[null]`, 0, true},
	{`451-[{}]`, 1, true},
	{`42[7]`, 0, false},
	{`42[-1,{}]`, 0, false},
	{`42[]`, 0, false},
	{`40/chat,{"token":"[{"}`, 0, false},
	{`b42[{}]`, 0, false},
	{`6`, 0, false},
}

func TestPayload(t *testing.T) {
	for _, c := range packetCases {
		for _, q := range forms {
			for _, packets := range [][]string{{c.packet}, {"2", c.packet, "42[\"a\"]"}} {
				if q.Version == 3 && c.packet[0] == 'b' {
					continue // where a type is behind the b
				}
				bodies := [][]byte{[]byte(encodePackets(packets, q.Version, false))}
				switch {
				case q.JSONP != "":
					bodies[0] = wrapForJSONP(q, bodies[0], client)
				case q.Version == 3:
					bodies = append(bodies, []byte(encodePackets(packets, 3, true)))
				}
				want := found{attachments: c.attachments, oddEvent: c.oddEvent}
				for _, body := range bodies {
					if got := lookThrough(q, client, body); got != want {
						t.Errorf("%+v, %q: %+v", q, body, got)
					}
					if got := lookThrough(q, client, inPieces(body)...); got != want {
						t.Errorf("%+v, %q in pieces: %+v", q, body, got)
					}
				}
			}
		}
	}
}

// TestNothingPassesThatHurtsNodes has Node read payloads that are nearly as they should be. A node that they hurt is one that got something
// which was not seen here.
func TestNothingPassesThatHurtsNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{
		"4", "42", "45", "451-", "450-", "4511-", "46", "45Infinity-", "451e9-", "450x1-", "[", "[{}]", "[\"a\"]", "[7]", " ", "\n", "\\n", "/a,", "7",
		"-", "\x1e", ":", "1:", "2:", "5:", "9:", "12:", "\x00", "\x01", "\x05", "\x00\x05\xff", "\xff", "\x80", "\xc2\xa0", "\xe0\x80", "\xf0\x9f", "\U0001f600", "\u20ac",
		"1", "b", "b4", "/[\"b,", "\u3000", "\u1680", "\u2000", "\u202f", "\u205f", "\x63", "\x02\x01\xff", "\x00\x63\xff", "\u0134\u0132\u015b\u017b\u017d%ff", "[\"a:42\",1]", "d=", "&", "&d=", "%", "%5", "%5B%7B%7D%5D", "+", "1e1:", " 5:",
	}
	var cases []payload
	for range 60_000 {
		var body []byte
		for range 1 + r.IntN(8) {
			body = append(body, parts[r.IntN(len(parts))]...)
		}
		q := forms[r.IntN(len(forms))]
		c := payload{Version: q.Version, Client: true, Body: body, Binary: q == v3 && r.IntN(2) == 0}
		if q.JSONP != "" {
			c.JSONP = &q.JSONP
			c.Body = append([]byte("d="), c.Body...)
		}
		if q.Version == 3 && !c.Binary && r.IntN(2) == 0 { // with a length that fits
			// as Node counts it, which takes each bad byte for a character
			c.Body = []byte(encodePackets([]string{string(body), "42[{}]"}, 3, false))
		}
		cases = append(cases, c)
	}
	for n := range 20 { // bad bytes, so many that they take the next packet in where each of them is no character
		for _, bad := range []string{"\x80", "\xff", "\xe0\x80", "\xf0", "\xf0\x9f"} {
			body := encodePackets([]string{"4" + strings.Repeat(bad, n), "42[{}]"}, 3, false)
			cases = append(cases, payload{Version: 3, Client: true, Body: []byte(body)})
		}
	}
	harmful := 0
	for i, harms := range startReference(t).harms(cases) {
		c := cases[i]
		q := engineio.Query{Version: c.Version}
		if c.JSONP != nil {
			q.JSONP = *c.JSONP
		}
		var p engineio.Payload
		p.ResetPost(q)
		for _, piece := range inPieces(c.Body) {
			p.Next(piece, false)
		}
		p.Next(nil, true)
		if harms {
			harmful++
		}
		if harms && p.Attachments <= 10 && !p.OddEvent && !p.Opaque {
			t.Errorf("EIO %d, JSONP %v, binary %v: nothing was seen in %q", c.Version, c.JSONP != nil, c.Binary, c.Body)
		}
	}
	if harmful < 1000 {
		t.Errorf("only %d payloads hurt a node", harmful)
	}
}

// A form that browsers do not send for JSONP may mean to a node what it does not mean here.
func TestOpaqueForm(t *testing.T) {
	for body, want := range map[string]bool{
		"d=40": false, "": true, "d": true, "x=1&d=40": true, "d=40&d=451e9-%5B%5D": true, "%64=451e9-[]": true, "d=40%26": false,
	} {
		for _, pieces := range [][][]byte{{[]byte(body)}, inPieces([]byte(body))} {
			if got := lookThrough(v4j, client, pieces...); got.opaque != want {
				t.Errorf("%q in %d pieces: %+v", body, len(pieces), got)
			}
		}
	}
}

// FuzzHasClose holds HasClose against a plain decoder that makes strings of everything.
func FuzzHasClose(f *testing.F) {
	for i, q := range forms {
		for _, packets := range [][]string{{"1"}, {"40", "1"}, {"4\U0001f600\u20ac", "6", "1"}, {"4\\n\n", "1x"}} {
			body := []byte(encodePackets(packets, q.Version, false))
			f.Add(i, client, body)
			if q.JSONP != "" {
				f.Add(i, client, wrapForJSONP(q, body, client))
				f.Add(i, node, wrapForJSONP(q, body, node))
			}
		}
	}
	f.Add(1, client, []byte(encodePackets([]string{"4\u00e4", "1"}, 3, true)))
	f.Add(2, node, []byte("___eio[7]( \"1\");"))
	f.Fuzz(func(t *testing.T, form int, from bool, body []byte) {
		q := forms[uint(form)%uint(len(forms))]
		got := hasClose(q, body, from)
		if whole, pieces := lookThrough(q, from, body), lookThrough(q, from, inPieces(body)...); (from || q.JSONP == "") && !whole.opaque && whole != pieces {
			t.Errorf("%+v, %q, client %v: %v as a whole, %v in pieces", q, body, from, whole, pieces)
		}
		text, ok := plainPayload(q, body, from)
		if !ok {
			return
		}
		if want := plainHasClose(q.Version, text); got != want {
			t.Errorf("HasClose(%+v, %q, client %v) = %v, the payload is %q", q, body, from, got, text)
		}
	})
}

var lineEnds = regexp.MustCompile(`(\\)?\\n`)

// plainPayload undoes JSONP's wrapping; ok is whether the result is text that every decoder reads alike.
func plainPayload(q engineio.Query, body []byte, fromClient bool) (text string, ok bool) {
	text = string(body)
	switch {
	case q.JSONP == "":
	case fromClient:
		form, err := url.ParseQuery(text)
		if err != nil || len(form["d"]) != 1 || len(form) != 1 || !strings.HasPrefix(text, "d=") || strings.Contains(text, "&") {
			return "", false
		}
		text = lineEnds.ReplaceAllStringFunc(form.Get("d"), func(m string) string {
			if m == "\\n" {
				return "\n"
			}
			return m
		})
		text = strings.ReplaceAll(text, "\\\\n", "\\n")
	default:
		literal, found := strings.CutPrefix(text, "___eio[7](")
		literal, found2 := strings.CutSuffix(literal, ");")
		// No node writes spaces around the literal, which JSON allows.
		if !found || !found2 || !strings.HasPrefix(literal, `"`) || json.Unmarshal([]byte(literal), &text) != nil || strings.ContainsRune(text, utf8.RuneError) {
			return "", false
		}
	}
	return text, utf8.ValidString(text)
}

func plainHasClose(version int, text string) bool {
	if version == 4 {
		for p := range strings.SplitSeq(text, "\x1e") {
			if p == "" || !strings.ContainsAny(p[:1], "0123456b") {
				return false
			}
			if p[0] == '1' {
				return true
			}
		}
		return false
	}
	if text != "" && text[0] <= 1 {
		return plainHasCloseBinary([]byte(text))
	}
	units := utf16.Encode([]rune(text))
	for len(units) > 0 {
		head, _, found := strings.Cut(string(utf16.Decode(units)), ":")
		n, err := strconv.ParseUint(head, 10, 64)
		if !found || err != nil || len(head) > 9 || int(n) > len(units)-len(head)-1 {
			return false
		}
		p := units[len(head)+1:][:n]
		units = units[len(head)+1+int(n):]
		if cutsPair(p, units) {
			return false
		}
		switch s := string(utf16.Decode(p)); {
		case s == "":
		case s[0] == '1', strings.HasPrefix(s, "b1"):
			return true
		case !strings.ContainsAny(s[:1], "023456b"):
			return false
		}
	}
	return false
}

// cutsPair reports whether a surrogate pair begins in head and ends in tail.
func cutsPair(head, tail []uint16) bool {
	return len(head) > 0 && len(tail) > 0 && utf16.DecodeRune(rune(head[len(head)-1]), rune(tail[0])) != utf8.RuneError
}

func plainHasCloseBinary(b []byte) bool {
	for len(b) > 0 {
		head, rest, found := bytes.Cut(b[1:], []byte{0xff})
		n := 0
		for _, digit := range head {
			if digit > 9 {
				return false
			}
			n = n*10 + int(digit)
		}
		if !found || b[0] > 1 || len(head) == 0 || len(head) > 9 || n == 0 || n > len(rest) {
			return false
		}
		switch p := string(rest[:n]); {
		case b[0] == 0 && (p[0] == '1' || strings.HasPrefix(p, "b1")), b[0] == 1 && p[0] == 1:
			return true
		case b[0] == 0 && !strings.ContainsAny(p[:1], "023456b"):
			return false
		}
		b = rest[n:]
	}
	return false
}
