package request

import (
	"slices"
	"strings"

	"github.com/sidway/sidway/gateway/http1"
)

// AppendProbe writes the upgrade of a poll's session, as the poll's own client would ask for it on a WebSocket with this key and without
// extensions. It reports false where the poll's target does not say its transport in plain letters.
func (x *Request) AppendProbe(dst []byte, address, key string) ([]byte, bool) {
	const polling = "transport=polling"
	q := &x.Req
	if strings.Count(q.RawQuery, polling) != 1 {
		return dst, false
	}
	up := *x
	up.Kind = Upgrade
	up.Req.RawQuery = strings.Replace(q.RawQuery, polling, "transport=websocket", 1)
	up.Req.Target = q.Path + "?" + up.Req.RawQuery
	up.Req.Fields = slices.DeleteFunc(slices.Clone(q.Fields), func(f http1.Field) bool { return f.ID == http1.SecWebSocketExtensions })
	up.Req.Fields = append(up.Req.Fields,
		http1.Field{Name: "Sec-WebSocket-Version", Value: "13"}, http1.Field{Name: "Sec-WebSocket-Key", Value: key})
	return up.AppendRequest(dst, address), true
}

// AppendPolled writes a request by polling as the poll's own client would send it to another node, or its own: with a body a POST, and else a
// poll, of the session that the node knows by sid, "" for a handshake.
func (x *Request) AppendPolled(dst []byte, address, sid string, body []byte) []byte {
	q := &x.Req
	as := *x
	as.Kind, as.Binding.Alias = Poll, ""
	parts := slices.DeleteFunc(strings.Split(q.RawQuery, "&"), func(p string) bool { return strings.HasPrefix(p, "sid=") })
	if sid != "" {
		parts = append(parts, "sid="+sid)
	}
	as.Req.RawQuery = strings.Join(parts, "&")
	as.Req.Target = q.Path + "?" + as.Req.RawQuery
	as.Req.Fields = slices.DeleteFunc(slices.Clone(q.Fields), func(f http1.Field) bool { return f.ID == http1.AcceptEncoding })
	if body != nil {
		as.Kind, as.Req.Method, as.Req.Chunked = Post, "POST", true // so that it gets its length
		as.Upload = Upload{Body: body, Complete: true}
		as.Req.Fields = append(as.Req.Fields, http1.Field{Name: "Content-Type", Value: "text/plain;charset=UTF-8"})
	}
	return append(as.AppendRequest(dst, address), body...)
}

// AppendReconnect writes a direct connect of the session's client, whose tunnel the request asks for, to another node.
func (x *Request) AppendReconnect(dst []byte, key string) []byte {
	q := &x.Req
	up := *x
	up.Kind = DirectConnect
	parts := slices.DeleteFunc(strings.Split(q.RawQuery, "&"), func(p string) bool { return strings.HasPrefix(p, "sid=") })
	up.Req.RawQuery = strings.Join(parts, "&")
	up.Req.Target = q.Path + "?" + up.Req.RawQuery
	up.Req.Fields = slices.DeleteFunc(slices.Clone(q.Fields), func(f http1.Field) bool {
		return f.ID == http1.SecWebSocketExtensions || f.ID == http1.SecWebSocketKey || f.ID == http1.SecWebSocketVersion
	})
	up.Req.Fields = append(up.Req.Fields,
		http1.Field{Name: "Sec-WebSocket-Version", Value: "13"}, http1.Field{Name: "Sec-WebSocket-Key", Value: key})
	return up.AppendRequest(dst, "")
}
