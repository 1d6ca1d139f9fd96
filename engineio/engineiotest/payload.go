package engineiotest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/sidway/sidway/engineio"
)

// packet is one packet: its type as a digit and its data, which is binary only in messages.
type packet struct {
	kind   byte
	data   []byte
	binary bool
}

var errPayload = errors.New("engineiotest: bad payload")

// text returns the packet as it stands in a text.
func (p packet) text(version int) string {
	switch {
	case p.binary && version == 4:
		return "b" + base64.StdEncoding.EncodeToString(p.data)
	case p.binary:
		return "b4" + base64.StdEncoding.EncodeToString(p.data)
	}
	return string(p.kind) + string(p.data)
}

// parseText reads a packet from a text.
func parseText(s string, version int) (packet, error) {
	encoded, isBinary := strings.CutPrefix(s, "b")
	if isBinary && version == 3 {
		encoded, isBinary = strings.CutPrefix(encoded, "4")
	}
	if isBinary {
		data, err := base64.StdEncoding.DecodeString(encoded)
		return packet{kind: '4', data: data, binary: true}, err
	}
	if s == "" || s[0] < '0' || s[0] > '6' {
		return packet{}, errPayload
	}
	return packet{kind: s[0], data: []byte(s[1:])}, nil
}

// encode makes the body that answers a poll, and its content type.
func (n *Node) encode(s *session, packets []packet, index string) (body []byte, contentType string) {
	isBinary := func(p packet) bool { return p.binary }
	if s.version == 3 && s.binary && (n.o.Bytes || slices.ContainsFunc(packets, isBinary)) {
		return encodeBytes(packets), "application/octet-stream"
	}
	texts := make([]string, len(packets))
	for i, p := range packets {
		texts[i] = p.text(s.version)
		if s.version == 3 {
			texts[i] = strconv.Itoa(len(utf16.Encode([]rune(texts[i])))) + ":" + texts[i]
		}
	}
	payload := strings.Join(texts, map[int]string{3: "", 4: "\x1e"}[s.version])
	if index != "" {
		literal, _ := json.Marshal(payload)
		payload = "___eio[" + index + "](" + string(literal) + ");"
	}
	return []byte(payload), "text/plain; charset=UTF-8"
}

func encodeBytes(packets []packet) []byte {
	var b []byte
	for _, p := range packets {
		first := p.kind
		if p.binary {
			b, first = append(b, 1), 4
		} else {
			b = append(b, 0)
		}
		for _, digit := range strconv.Itoa(len(p.data) + 1) {
			b = append(b, byte(digit-'0'))
		}
		b = append(append(b, 0xff, first), p.data...)
	}
	return b
}

var lineEnds = regexp.MustCompile(`(\\)?\\n`)

// decode reads the body of a POST.
func decode(q engineio.Query, contentType string, body []byte) ([]packet, error) {
	payload := string(body)
	switch {
	case contentType == "application/octet-stream" && q.Version == 3:
		return decodeBytes(body)
	case q.JSONP != "":
		form, err := url.ParseQuery(payload)
		if err != nil || len(form["d"]) != 1 {
			return nil, errPayload
		}
		payload = lineEnds.ReplaceAllStringFunc(form.Get("d"), func(m string) string {
			if m == `\n` {
				return "\n"
			}
			return m
		})
		payload = strings.ReplaceAll(payload, `\\n`, `\n`)
	}
	if q.Version == 3 {
		return decodeLengths(utf16.Encode([]rune(payload)))
	}
	var packets []packet
	for text := range strings.SplitSeq(payload, "\x1e") {
		p, err := parseText(text, 4)
		if err != nil {
			return nil, err
		}
		packets = append(packets, p)
	}
	return packets, nil
}

func decodeLengths(units []uint16) ([]packet, error) {
	var packets []packet
	for len(units) > 0 {
		head, _, found := strings.Cut(string(utf16.Decode(units)), ":")
		n, err := strconv.Atoi(head)
		if !found || err != nil || n < 0 || len(head)+1+n > len(units) {
			return nil, errPayload
		}
		units = units[len(head)+1:]
		p, err := parseText(string(utf16.Decode(units[:n])), 3)
		if err != nil {
			return nil, err
		}
		packets, units = append(packets, p), units[n:]
	}
	return packets, nil
}

func decodeBytes(b []byte) ([]packet, error) {
	var packets []packet
	for len(b) > 0 {
		head, rest, found := bytes.Cut(b[1:], []byte{0xff})
		n := 0
		for _, digit := range head {
			n = n*10 + int(digit)
		}
		if !found || n < 1 || n > len(rest) {
			return nil, errPayload
		}
		p := packet{kind: rest[0], data: rest[1:n]}
		if b[0] == 1 {
			p.kind, p.binary = rest[0]+'0', true
		}
		packets, b = append(packets, p), rest[n:]
	}
	return packets, nil
}
