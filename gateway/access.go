package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/request"
	"github.com/sidway/sidway/gateway/tunnel"
)

// statusLeft is what the access log says of a client that left before it was answered, as nginx does.
const statusLeft = 499

// longestLogged bounds what a client may write into one field of a line.
const longestLogged = 256

// logAccess writes the access log's line, if there is one.
func (x *exchange) logAccess() {
	log := x.g.topology.Load().Access
	if log == nil {
		return
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "request", append(x.facts(),
		slog.Int("status", cmp.Or(x.status, statusLeft)),
		slog.Int64("bytes", x.bytes),
		slog.String("took", rounded(time.Since(x.Began))),
		slog.String("overhead", rounded(x.overhead)))...)
}

// tunnelLog returns what writes the access log's line when the request's tunnel ends, nil where there is no log.
func (x *exchange) tunnelLog(h *home) func(tunnel.Result) {
	log := x.g.topology.Load().Access
	if log == nil {
		return nil
	}
	facts, began, sent := x.facts(), time.Now(), x.bytes
	for i := range facts {
		facts[i].Value = slog.StringValue(strings.Clone(facts[i].Value.String())) // the request is used for others by then
	}
	return func(r tunnel.Result) {
		for i := range facts {
			if facts[i].Key == "node" { // the session may have moved
				facts[i].Value = slog.StringValue(h.node.Name)
			}
		}
		log.LogAttrs(context.Background(), slog.LevelInfo, "websocket ended", append(facts,
			slog.String("cause", r.Cause.String()),
			slog.Int64("bytes_from_client", r.FromClient),
			slog.Int64("bytes_to_client", sent+r.FromNode),
			slog.String("took", rounded(time.Since(began))))...)
	}
}

// facts are what all lines about a request tell of it. A sid is a secret, so only its beginning is told.
func (x *exchange) facts() []slog.Attr {
	clusterName, node := "", ""
	if x.route != nil {
		clusterName = x.route.Cluster.Name
	}
	if x.Node != nil {
		node = x.Node.Name
	}
	page, _, _ := strings.Cut(x.Req.Get(http1.Referer), "?") // what is in a query may be a secret
	facts := []slog.Attr{
		slog.String("client", x.Origin().IP),
		slog.String("request_id", x.ID()),
		slog.String("method", request.Shortened(x.Req.Method, longestLogged)),
		slog.String("host", request.Shortened(x.Req.Host, longestLogged)),
		slog.String("path", request.Shortened(x.Req.Path, longestLogged)),
		slog.String("protocol", protocols[min(x.Req.Minor, 1)]),
		slog.String("kind", x.Kind.String()),
		slog.String("cluster", clusterName),
		slog.String("node", node),
		slog.String("sid", engineio.ShortSID(cmp.Or(x.Query.SID, x.Open.SID))),
		slog.String("referer", request.Shortened(page, longestLogged)),
		slog.String("user_agent", request.Shortened(x.Req.Get(http1.UserAgent), longestLogged)),
	}
	if id := x.span.ID(); id != "" {
		facts = append(facts, slog.String("trace_id", id))
	}
	return facts
}

var protocols = [...]string{"HTTP/1.0", "HTTP/1.1"}

// rounded is a duration with its unit. A handler may write a time.Duration as a bare number.
func rounded(d time.Duration) string { return d.Round(time.Microsecond).String() }
