package request

import (
	"fmt"
	"math/rand/v2"

	"github.com/sidway/sidway/gateway/http1"
)

// passesID reports whether the request's own X-Request-ID goes on to the node. Where there is an access log only a trusted
// proxy chooses the id that stands in it.
func (x *Request) passesID() bool {
	return !x.Client.ReplaceIDs || x.Client.Trusted && x.Req.Get(http1.XRequestID) != ""
}

// ID is the id of the request in the log and at the node.
func (x *Request) ID() string {
	switch {
	case x.id != "":
	case x.Client.Trusted && x.Req.Get(http1.XRequestID) != "":
		x.id = Shortened(x.Req.Get(http1.XRequestID), longestID)
	default:
		x.id = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	}
	return x.id
}

// longestID bounds an id that a proxy gives.
const longestID = 256

// Shortened returns the beginning of s, if s is longer than so many bytes.
func Shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
