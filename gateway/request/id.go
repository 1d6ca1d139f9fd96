package request

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// longestID bounds an id that a client or a proxy gives.
const longestID = 128

// passesID reports whether the request's own X-Request-ID goes on to the node. Where requests have ids it must be one.
func (x *Request) passesID() bool { return !x.Client.HasIDs || x.givenID() != "" }

// givenID is the id that the request came with, "" where it came with none, with several, or with what is no plain word: ids stand
// in logs of ours and of others. Whoever sends the request chooses it, as with most proxies that take one, so it is no proof of
// anything.
func (x *Request) givenID() string {
	id := x.Req.Get(http1.XRequestID)
	if len(id) > longestID || x.Req.Repeated(http1.XRequestID) || strings.ContainsFunc(id, isUnsafe) {
		return ""
	}
	return id
}

// isUnsafe reports whether c needs quotes or escapes somewhere.
func isUnsafe(c rune) bool {
	return ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && !strings.ContainsRune("-._~+/=:@", c)
}

// ID is the id of the request in the log and at the node.
func (x *Request) ID() string {
	if x.id != "" {
		return x.id
	}
	if x.id = x.givenID(); x.id == "" {
		var b [16]byte
		binary.NativeEndian.PutUint64(b[:], rand.Uint64())
		binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
		x.id = hex.EncodeToString(b[:])
	}
	return x.id
}

// Shortened returns the beginning of s, if s is longer than so many bytes.
func Shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
