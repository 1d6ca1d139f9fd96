package engineio

import "bytes"

// unknownSIDTexts are the words with which makers say that they do not know a sid, in lower case: Node, Go, Rust and
// Java the first, Bun's the second, Python's the third.
var unknownSIDTexts = [...]string{"session id unknown", "unknown session", "invalid session"}

// IsUnknownSID reports whether a node's answer to a request with a sid says that the node has no such session: status
// 400 with the protocol's error object of code 1 ({"code":1,…}, in Rust {"code":"1",…}), with a JSON string ("Invalid
// session X", Python) or with plain text (WebSocket requests to Node). It needs only the first 256 bytes of the body,
// whose coding must be identity, and does not allocate.
func IsUnknownSID(status int, body []byte) bool {
	if status != 400 {
		return false
	}
	body = bytes.TrimLeft(body[:min(len(body), 256)], " \t\r\n")
	if len(body) > 0 && body[0] == '{' {
		return hasCodeOne(body)
	}
	body = bytes.TrimPrefix(body, []byte{'"'})
	for _, text := range unknownSIDTexts {
		if len(body) >= len(text) && bytes.EqualFold(body[:len(text)], []byte(text)) {
			return true
		}
	}
	return false
}

// hasCodeOne reports whether the JSON object that begins b has a member "code" of 1 or "1".
func hasCodeOne(b []byte) bool {
	r := jsonReader{b: b}
	one := false
	r.members(func(name []byte) {
		start := r.i
		r.skip(1)
		if r.err == nil && string(name) == "code" {
			value := b[start:r.i]
			one = string(value) == "1" || string(value) == `"1"`
		}
	})
	// A member that was read counts even if the object is cut after it.
	return one && r.err != ErrNoOpen
}
