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

// What follows is named: endField begins the field of a session's end, jsonpField is there where its POSTs are forms, and aliasField
// begins the sid by which its node knows it.
const (
	endField   = "end="
	jsonpField = "jsonp"
	aliasField = "sid="
)

// encode writes b as Redis keeps it: form, EIO version, pingInterval and pingTimeout in ms, maxPayload, node, and what else there
// is by name. It is text, so that an operator can read it: "1 4 25000 20000 1000000 n1 end=1800000000".
func encode(b Binding) string {
	dst := make([]byte, 0, 48+len(b.Node))
	dst = append(dst, valueForm...)
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
	if b.Alias != "" {
		dst = append(append(append(dst, ' '), aliasField...), b.Alias...)
	}
	return string(dst)
}

// MarshalText writes b as Redis keeps it, without Expires.
func (b Binding) MarshalText() ([]byte, error) { return []byte(encode(b)), nil }

// UnmarshalText reads what MarshalText wrote, also by another version.
func (b *Binding) UnmarshalText(text []byte) (err error) {
	*b, err = decode(string(text))
	return err
}

// decode reads what encode wrote. The error never repeats the value.
func decode(value string) (Binding, error) {
	form, rest, _ := strings.Cut(value, " ")
	if form != valueForm {
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
	var ends int64
	jsonp, alias := false, ""
	for field := range strings.SplitSeq(rest, " ") {
		jsonp = jsonp || field == jsonpField
		if text, ok := strings.CutPrefix(field, endField); ok {
			if ends, err = strconv.ParseInt(text, 10, 64); err != nil || ends < 0 {
				return Binding{}, fmt.Errorf("value with a bad end")
			}
		}
		if text, ok := strings.CutPrefix(field, aliasField); ok {
			if alias = text; url.QueryEscape(alias) != alias { // it becomes a part of a query
				return Binding{}, fmt.Errorf("value with a bad sid")
			}
		}
	}
	limit := maxPing.Milliseconds()
	if n[0] > 1<<31-1 || n[1] > limit || n[2] > limit {
		return Binding{}, fmt.Errorf("value with a number out of range")
	}
	return Binding{
		Node:         node,
		Version:      int(n[0]),
		PingInterval: time.Duration(n[1]) * time.Millisecond,
		PingTimeout:  time.Duration(n[2]) * time.Millisecond,
		MaxPayload:   n[3],
		Ends:         ends,
		JSONP:        jsonp,
		Alias:        alias,
	}, nil
}
