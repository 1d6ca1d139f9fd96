package http1

import (
	"crypto/sha1"
	"encoding/base64"
)

// CheckWebSocket returns nil if q is a WebSocket's opening handshake as RFC 6455 section 4.2.1 has it, with no body and
// no other protocol to choose from; else an *Error of 400 that says what is missing.
func (q *Request) CheckWebSocket() error {
	switch {
	case q.Method != "GET":
		return errUpgradeMethod
	case q.Minor != 1:
		return errUpgradeVersion
	case !q.WebSocket:
		return errUpgradeFields
	case q.Chunked || q.ContentLength > 0:
		return errUpgradeBody
	case q.Repeated(SecWebSocketVersion) || q.Get(SecWebSocketVersion) != "13":
		return errSocketVersion
	case q.Repeated(SecWebSocketKey) || !validKey(q.Get(SecWebSocketKey)):
		return errSocketKey
	}
	return nil
}

// CheckSwitch returns nil if p is a 101 that accepts q's WebSocket (RFC 6455 section 4.2.2) with the right key; else an
// *Error of 502. It does not allocate.
func (p *Response) CheckSwitch(q *Request) error { return p.CheckAccept(q.Get(SecWebSocketKey)) }

// CheckAccept is CheckSwitch for a request that was made here, with this key.
func (p *Response) CheckAccept(key string) error {
	if p.Status != 101 || !p.WebSocket {
		return errNoSwitch
	}
	want := AcceptKey(key)
	if p.Repeated(SecWebSocketAccept) || p.Get(SecWebSocketAccept) != string(want[:]) {
		return errSocketAccept
	}
	return nil
}

const keyLength = 24 // of 16 bytes in base64

// validKey takes the base64 of exactly 16 bytes.
func validKey(key string) bool {
	if len(key) != keyLength {
		return false
	}
	var src [keyLength]byte
	var dst [18]byte
	copy(src[:], key)
	n, err := base64.StdEncoding.Decode(dst[:], src[:])
	return err == nil && n == 16
}

// AcceptKey returns the Sec-WebSocket-Accept for a Sec-WebSocket-Key of up to 24 bytes.
func AcceptKey(key string) (accept [28]byte) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var b [keyLength + len(guid)]byte
	n := copy(b[:keyLength], key)
	n += copy(b[n:], guid)
	sum := sha1.Sum(b[:n])
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}
