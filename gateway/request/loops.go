package request

import (
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// loopMark is what each replica adds to a request's CDN-Loop (RFC 8586).
const loopMark = "sidway"

// mostPasses is how often a request may have passed a replica before. One that comes again goes in a circle.
const mostPasses = 4

// loops reports whether the request goes in a circle: a node of the cluster sends it back, or is a replica itself.
func (x *Request) loops() bool {
	if !x.Req.Has(http1.CDNLoop) {
		return false
	}
	passes := 0
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; f.ID == http1.CDNLoop {
			for e := range strings.SplitSeq(f.Value, ",") {
				if strings.TrimSpace(e) == loopMark {
					passes++
				}
			}
		}
	}
	return passes >= mostPasses
}
