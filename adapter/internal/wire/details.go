package wire

import (
	"net/http"
	"strings"

	"github.com/zishang520/socket.io/v2/socket"
)

// DetailsOf describes a socket of this node for another one. Data that cannot travel is left out rather than the socket.
func DetailsOf(s *socket.Socket) Object {
	data, err := normalize(s.Data(), 0)
	if err != nil || data == nil {
		data = Object{} // what a socket's data is in Node before anybody sets it
	}
	return Object{
		"id":        string(s.Id()),
		"handshake": handshakeObject(s.Handshake()),
		"rooms":     RoomList(s.Rooms().Keys()),
		"data":      data,
	}
}

// handshakeObject writes a handshake as Node has it: header names in lower case, one text per header, and a query value
// that is a text unless it was given several times.
func handshakeObject(h *socket.Handshake) Object {
	headers := make(Object, len(h.Headers))
	for k, v := range h.Headers {
		headers[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	query := make(Object, len(h.Query))
	for k, v := range h.Query {
		if len(v) == 1 {
			query[k] = v[0]
		} else {
			query[k] = v
		}
	}
	auth, err := normalize(h.Auth, 0)
	if err != nil {
		auth = nil
	}
	return Object{
		"headers": headers, "time": h.Time, "address": h.Address, "xdomain": h.Xdomain, "secure": h.Secure,
		"issued": h.Issued, "url": h.Url, "query": query, "auth": auth,
	}
}

func readDetails(o Object) Details {
	h := o.object("handshake")
	issued, _ := h.number("issued")
	d := Details{
		id:    socket.SocketId(o.Text("id")),
		rooms: ReadRooms(o.List("rooms")),
		data:  AsArrived(o["data"]),
		handshake: &socket.Handshake{
			Headers: make(map[string][]string), Query: make(map[string][]string),
			Time: h.Text("time"), Address: h.Text("address"), Xdomain: h.flag("xdomain"), Secure: h.flag("secure"),
			Issued: issued, Url: h.Text("url"), Auth: AsArrived(h["auth"]),
		},
	}
	for k, v := range h.object("headers") {
		d.handshake.Headers[http.CanonicalHeaderKey(k)] = texts(v)
	}
	for k, v := range h.object("query") {
		d.handshake.Query[k] = texts(v)
	}
	return d
}

// texts reads a text or a list of texts.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
