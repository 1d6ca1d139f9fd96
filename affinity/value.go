package affinity

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// valueForm leads each value. A reader of this form ignores fields that are added at the end, so it changes only if
// the fields it has must change their meaning.
const valueForm = "1"

// unprovenForm leads the values of unproven sessions instead. A replica of an older version, which would let such a session through,
// cannot read them, and takes the session for unknown.
const unprovenForm = "2"

// What follows is named: endField begins the field of a session's end, jsonpField is there where its POSTs are forms, refusalField begins
// what an unproven session's poll is answered with, and aliasField begins the sid by which its node knows it.
const (
	endField     = "end="
	jsonpField   = "jsonp"
	refusalField = "refusal="
	aliasField   = "sid="
)

// refusalMark stands in no sid, so that no session has the key of another one's refusal.
const refusalMark = "!refusal"

// RefusalOf returns the key, in place of a sid, of a binding that holds the Refusal of an unproven session. It has a key of its own, so that a
// replica that writes or takes one never overwrites the proof that another replica writes at the same time.
func RefusalOf(sid string) string { return sid + refusalMark }

// encode writes b as Redis keeps it: form, EIO version, pingInterval and pingTimeout in ms, maxPayload, node, and what else there
// is by name. It is text, so that an operator can read it: "1 4 25000 20000 1000000 n1 end=1800000000".
func encode(b Binding) []byte {
	dst := make([]byte, 0, 48+len(b.Node))
	if b.Unproven {
		dst = append(dst, unprovenForm...)
	} else {
		dst = append(dst, valueForm...)
	}
	for _, n := range [...]int64{int64(b.Version), b.PingInterval.Milliseconds(), b.PingTimeout.Milliseconds(), b.MaxPayload} {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, n, 10)
	}
	dst = append(dst, ' ')
	dst = append(dst, url.QueryEscape(b.Node)...)
	if b.Ends != 0 {
		dst = append(append(dst, ' '), endField...)
		dst = strconv.AppendInt(dst, b.Ends, 10)
	}
	if b.JSONP {
		dst = append(append(dst, ' '), jsonpField...)
	}
	if b.Refusal != "" {
		dst = append(append(append(dst, ' '), refusalField...), url.QueryEscape(b.Refusal)...)
	}
	if b.Alias != "" {
		dst = append(append(append(dst, ' '), aliasField...), b.Alias...)
	}
	return dst
}

// MarshalText writes b as Redis keeps it, without Expires.
func (b Binding) MarshalText() ([]byte, error) { return encode(b), nil }

// UnmarshalText reads what MarshalText wrote, also by another version.
func (b *Binding) UnmarshalText(text []byte) (err error) {
	*b, err = decode(string(text))
	return err
}

// decode reads what encode wrote. The error never repeats the value.
func decode(value string) (Binding, error) {
	form, rest, _ := strings.Cut(value, " ")
	if form != valueForm && form != unprovenForm {
		return Binding{}, fmt.Errorf("value of an unknown form")
	}
	var n [4]int64
	for i := range n {
		field, after, found := strings.Cut(rest, " ")
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil || v < 0 || !found {
			return Binding{}, fmt.Errorf("value with a bad field %d", i+1)
		}
		n[i], rest = v, after
	}
	field, rest, _ := strings.Cut(rest, " ")
	node, err := url.QueryUnescape(field)
	if err != nil || node == "" {
		return Binding{}, fmt.Errorf("value with a bad node")
	}
	b := Binding{Node: node, Unproven: form == unprovenForm}
	for field := range strings.SplitSeq(rest, " ") {
		if err := b.decodeField(field); err != nil {
			return Binding{}, err
		}
	}
	limit := maxPing.Milliseconds()
	if n[0] > 1<<31-1 || n[1] > limit || n[2] > limit {
		return Binding{}, fmt.Errorf("value with a number out of range")
	}
	b.Version, b.MaxPayload = int(n[0]), n[3]
	b.PingInterval, b.PingTimeout = time.Duration(n[1])*time.Millisecond, time.Duration(n[2])*time.Millisecond
	return b, nil
}

// decodeField reads one of the fields that are named. Others are ignored.
func (b *Binding) decodeField(field string) (err error) {
	if field == jsonpField {
		b.JSONP = true
	}
	if text, ok := strings.CutPrefix(field, endField); ok {
		if b.Ends, err = strconv.ParseInt(text, 10, 64); err != nil || b.Ends < 0 {
			return fmt.Errorf("value with a bad end")
		}
	}
	if text, ok := strings.CutPrefix(field, refusalField); ok {
		if b.Refusal, err = url.QueryUnescape(text); err != nil {
			return fmt.Errorf("value with a bad refusal")
		}
	}
	if text, ok := strings.CutPrefix(field, aliasField); ok {
		if b.Alias = text; url.QueryEscape(text) != text { // it becomes a part of a query
			return fmt.Errorf("value with a bad sid")
		}
	}
	return nil
}
