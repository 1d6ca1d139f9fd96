package request

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// Header is one field of a head.
type Header struct{ Name, Value string }

// Headers is what is changed in the heads that nodes get, whoever wrote the fields: the client, a proxy or the gateway.
type Headers struct {
	absent [][]byte // names of the fields that are taken out
	set    []byte   // lines that are put in behind
}

// NewHeaders returns what puts these fields in the place of all that have their names, and takes out those to remove; nil where
// that changes nothing. It refuses what is no field, and fields that only the gateway may write.
func NewHeaders(set []Header, remove []string) (*Headers, error) {
	if len(set)+len(remove) == 0 {
		return nil, nil
	}
	h := &Headers{}
	for _, name := range remove {
		if err := checkHeader(Header{Name: name}, reserved); err != nil {
			return nil, err
		}
		h.absent = append(h.absent, []byte(name))
	}
	for _, f := range set {
		f.Value = strings.Trim(f.Value, " \t")                                             // as whoever reads it does
		if err := checkHeader(f, reserved|http1.SetOf(http1.AcceptEncoding)); err != nil { // see passes
			return nil, err
		}
		h.absent = append(h.absent, []byte(f.Name))
		h.set = http1.AppendField(h.set, f.Name, f.Value)
	}
	return h, nil
}

// reserved are the fields, beside those of one connection, that tell where the request ends and which host it is for, open a
// WebSocket, or keep requests from going in a circle.
var reserved = http1.SetOf(http1.Host, http1.ContentLength, http1.CDNLoop,
	http1.SecWebSocketKey, http1.SecWebSocketVersion, http1.SecWebSocketAccept, http1.SecWebSocketProtocol, http1.SecWebSocketExtensions)

// checkHeader has the parser of requests say whether f is a field. A '_' counts as the '-' for which some programs take it. No
// error shows the value, which may be a password.
func checkHeader(f Header, reserved http1.FieldSet) error {
	var q http1.Request
	name := strings.ReplaceAll(f.Name, "_", "-")
	head := http1.AppendField([]byte("GET / HTTP/1.1\r\nHost: node\r\n"), name, f.Value)
	err := q.Parse(append(head, "\r\n"...))
	switch {
	case err != nil || len(q.Fields) != 2 || q.Fields[1].Name != name || q.Fields[1].Value != f.Value:
		return fmt.Errorf("request: the header %q cannot be written so, or cannot be changed", f.Name)
	case q.Fields[1].Hop || reserved.Has(q.Fields[1].ID):
		return fmt.Errorf("request: the header %s cannot be changed", f.Name)
	}
	return nil
}

// apply changes the lines of fields that begin at head[start], in place.
func (h *Headers) apply(head []byte, start int) []byte {
	kept := head[:start]
	for rest := head[start:]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if line := rest[:end]; !h.takesOut(line) {
			kept = append(kept, line...)
		}
		rest = rest[end:]
	}
	return append(kept, h.set...)
}

// takesOut reports whether a line's field is to be absent.
func (h *Headers) takesOut(line []byte) bool {
	for _, name := range h.absent {
		if n := len(name); line[min(n, len(line)-1)] == ':' && bytes.EqualFold(line[:n], name) {
			return true
		}
	}
	return false
}
