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
