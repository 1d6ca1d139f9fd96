package request

import (
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// The fields of W3C Trace Context.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

func is(f *http1.Field, name string) bool {
	return f.ID == http1.Other && strings.EqualFold(f.Name, name)
}

// TraceContext is what the client says of the trace that the request belongs to. A traceparent that comes twice is none.
func (x *Request) TraceContext() (parent, state string) {
	parents := 0
	var states []string
	for i := range x.Req.Fields {
		switch f := &x.Req.Fields[i]; {
		case is(f, traceparent):
			parent = f.Value
			parents++
		case is(f, tracestate):
			states = append(states, f.Value)
		}
	}
	if parents != 1 {
		return "", ""
	}
	return parent, strings.Join(states, ",")
}
