package packet

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// This file is for sessions whose client shows by a token in a CONNECT that it may have the session.

// Connect is a client's CONNECT.
type Connect struct {
	Namespace string
	auth      []byte // JSON, if it is not empty
}

// Token returns the member of the CONNECT's auth by that name, without the scheme Bearer; "" where there is none, or null. ok is false where the auth
// is no JSON object, has that name twice, or something else than a text there: readers could disagree on what it says.
func (c Connect) Token(name string) (token string, ok bool) {
	if len(c.auth) == 0 {
		return "", true
	}
	d := json.NewDecoder(bytes.NewReader(c.auth))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", false
	}
	found := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", false
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return "", false
		}
		if key != name {
			continue
		}
		text, isText := value.(string)
		if found || !isText && value != nil {
			return "", false
		}
		token, found = withoutBearer(text), true
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return "", false
	}
	if _, err := d.Token(); err != io.EOF {
		return "", false
	}
	return token, true
}

func withoutBearer(text string) string {
	if scheme, token, found := strings.Cut(text, " "); found && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimLeft(token, " ")
	}
	return text
}

// ConnectError returns the packet by which a node would refuse a CONNECT (Socket.IO protocol 5, "CONNECT_ERROR"), with the code that Engine.IO has for
// clients that are not let in.
func ConnectError(namespace, message string) []byte {
	b := []byte{eioMessage, sioConnectError}
	if namespace != "/" {
		b = append(append(b, namespace...), ',')
	}
	text, _ := json.Marshal(message) // a string can be written
	return append(append(append(b, `{"message":`...), text...), `,"data":{"code":4}}`...)
}

// Unproven is a packet of a client whose session is not proven yet.
type Unproven struct {
	Text    []byte   // all of it
	Connect *Connect // nil: it is a ping, a pong or a close of Engine.IO
}

// parseUnproven reads a packet; false for one that such a client may not send.
func parseUnproven(b []byte) (u Unproven, ok bool) {
	if len(b) == 1 && (b[0] == eioClose || b[0] == eioPing || b[0] == eioPong) {
		return Unproven{Text: b}, true
	}
	p, ok := parse(b)
	if !ok || p.kind != sioConnect || p.hasID {
		return u, false
	}
	return Unproven{b, &Connect{p.namespace, p.data}}, true
}

// mostUnproven bounds the packets of one payload, of which each may cost a signature.
const mostUnproven = 64

// ParseUnproven reads a payload of HTTP long-polling (Engine.IO 4) of such a client; false where a packet is there that it may not send, or are
// more than 64.
func ParseUnproven(payload []byte) (all []Unproven, ok bool) {
	for b := range packetsOf(payload) {
		u, ok := parseUnproven(b)
		if !ok || len(all) == mostUnproven {
			return nil, false
		}
		all = append(all, u)
	}
	return all, true
}
