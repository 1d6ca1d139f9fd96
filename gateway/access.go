package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/http1"
	"github.com/sidway/sidway/gateway/tunnel"
)

// statusLeft is what the access log says of a client that left before it was answered, as nginx does.
const statusLeft = 499

// longestLogged bounds what a client may write into one field of a line.
const longestLogged = 256

// logAccess writes the access log's line, if there is one.
func (x *exchange) logAccess() {
	if !x.c.g.AccessLog {
		return
	}
	x.c.g.Log.LogAttrs(context.Background(), slog.LevelInfo, "request", append(x.facts(),
		slog.Int("status", cmp.Or(x.status, statusLeft)),
		slog.Int64("bytes", x.bytes),
		slog.String("took", rounded(time.Since(x.began))),
		slog.String("overhead", rounded(x.own)))...)
}

// tunnelLog returns what writes the access log's line when the request's tunnel ends, nil where there is no log.
func (x *exchange) tunnelLog() func(tunnel.Result) {
	g := x.c.g
	if !g.AccessLog {
		return nil
	}
	facts, began, sent := x.facts(), time.Now(), x.bytes
	for i := range facts {
		facts[i].Value = slog.StringValue(strings.Clone(facts[i].Value.String())) // the request is used for others by then
	}
	return func(r tunnel.Result) {
		g.Log.LogAttrs(context.Background(), slog.LevelInfo, "websocket ended", append(facts,
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
	if x.node != nil {
		node = x.node.Name
	}
	return []slog.Attr{
		slog.String("client", x.origin().ip),
		slog.String("request_id", x.requestID()),
		slog.String("method", shortened(x.req.Method, longestLogged)),
		slog.String("host", shortened(x.req.Host, longestLogged)),
		slog.String("path", shortened(x.req.Path, longestLogged)),
		slog.String("kind", x.kind.String()),
		slog.String("cluster", clusterName),
		slog.String("node", node),
		slog.String("sid", engineio.ShortSID(cmp.Or(x.query.SID, x.open.SID))),
		slog.String("user_agent", shortened(x.req.Get(http1.UserAgent), longestLogged)),
	}
}

func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// rounded is a duration with its unit. A handler may write a time.Duration as a bare number.
func rounded(d time.Duration) string { return d.Round(time.Microsecond).String() }

// passesID reports whether the request's own X-Request-ID goes on to the node. Where there is an access log only a trusted
// proxy chooses the id that stands in it.
func (x *exchange) passesID() bool {
	return !x.c.g.AccessLog || x.c.trusted && x.req.Get(http1.XRequestID) != ""
}

// requestID is the id of the request in the log and at the node.
func (x *exchange) requestID() string {
	switch {
	case x.id != "":
	case x.c.trusted && x.req.Get(http1.XRequestID) != "":
		x.id = shortened(x.req.Get(http1.XRequestID), longestLogged)
	default:
		x.id = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	}
	return x.id
}
