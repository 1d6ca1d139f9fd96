package gateway

import (
	"cmp"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/trace"
)

// This file is what a request's trace says of it: a span from its head to the end of its answer, with one below it for each time that
// the store or a node is asked. A tunnel is no part of it: the span of an upgrade or direct connect ends with the 101.

// traced begins the span of a request that has been decoded, unless t is nil.
func (x *exchange) traced(t *trace.Tracer) {
	if t == nil {
		return
	}
	var p trace.Parent
	p.Traceparent, p.Tracestate = x.TraceContext()
	x.span = t.Request(x.Kind.String(), p, x.Began)
	if !x.span.Records() {
		return
	}
	x.span.Text("http.request.method", request.Shortened(x.Req.Method, longestLogged))
	x.span.Text("url.path", request.Shortened(x.Req.Path, longestLogged))
	x.span.Text("server.address", request.Shortened(x.Req.Host, longestLogged))
	x.span.Text("client.address", x.Origin().IP)
	x.span.Text("user_agent.original", request.Shortened(x.Req.Get(http1.UserAgent), longestLogged))
	if x.route != nil {
		x.span.Text("sidway.cluster", x.route.Cluster.Name)
	}
}

// forwards begins the span of one attempt to have Node answer.
func (x *exchange) forwards() {
	x.attempt = x.span.Child("forward", true)
	x.attempt.Text("sidway.node", x.Node.Name)
	x.attempt.Text("server.address", x.Node.Address)
	p := x.attempt.Parent()
	x.Traceparent, x.Tracestate = p.Traceparent, p.Tracestate
}

// forwarded ends it. A status of 0 is none, and an empty why no failure.
func (x *exchange) forwarded(status int, why string) {
	if x.attempt == nil {
		return
	}
	if status > 0 {
		x.attempt.Number("http.response.status_code", status)
	}
	x.attempt.Fail(why)
	x.attempt.End()
	x.attempt = nil
}

// endTrace ends the request's span.
func (x *exchange) endTrace() {
	if x.span == nil {
		return
	}
	x.forwarded(0, "the client has left")
	status := cmp.Or(x.status, statusLeft)
	x.span.Number("http.response.status_code", status)
	x.span.Text("sidway.sid", engineio.ShortSID(cmp.Or(x.Query.SID, x.Open.SID)))
	if x.Node != nil {
		x.span.Text("sidway.node", x.Node.Name)
	}
	if x.Refused {
		x.span.Text("error.type", x.Cause.String())
	}
	if status >= 500 {
		x.span.Fail(x.Cause.String())
	}
	x.span.End()
}
