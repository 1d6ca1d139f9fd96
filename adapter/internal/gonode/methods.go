package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/adapter"
)

// target says on whom a method works.
type target struct {
	Nsp      string        `json:"nsp"`
	Rooms    []socket.Room `json:"rooms"`
	Except   []socket.Room `json:"except"`
	Local    bool          `json:"local"`
	Volatile bool          `json:"volatile"`
	Compress bool          `json:"compress"`
	Timeout  int64         `json:"timeout"`
}

func (s *server) nsp(t target) socket.Namespace {
	if t.Nsp == "" {
		return s.io.Sockets()
	}
	return s.io.Of(t.Nsp, nil)
}

func (s *server) operator(t target) *socket.BroadcastOperator {
	op := s.nsp(t).To(t.Rooms...).Except(t.Except...)
	if t.Local {
		op = op.Local()
	}
	if t.Volatile {
		op = op.Volatile()
	}
	if t.Compress {
		op = op.Compress(true)
	}
	if t.Timeout > 0 {
		op = op.Timeout(time.Duration(t.Timeout) * time.Millisecond)
	}
	return op
}

// do carries out one line.
func (s *server) do(r request) (any, error) {
	switch r.Method {
	case "emit":
		return nil, s.operator(r.Target).Emit(r.Args[0].(string), r.Args[1:]...)
	case "flood":
		for i := range int(r.Args[1].(float64)) {
			_ = s.operator(r.Target).Emit(r.Args[0].(string), i)
			if gap, ok := r.Args[2].(float64); ok && gap > 0 {
				time.Sleep(time.Duration(gap) * time.Millisecond)
			}
		}
		return nil, nil
	case "emitWithAck":
		return answered(func(ack socket.Ack) error {
			return s.operator(r.Target).Emit(r.Args[0].(string), append(r.Args[1:], ack)...)
		})
	case "fetchSockets":
		return s.fetch(r.Target)
	case "heard":
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]any{}, s.heard...), nil
	case "seqs":
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]any{}, s.seqs...), nil
	case "cpu":
		return cpu(), nil
	case "close":
		s.io.Close(nil)
		return nil, nil
	}
	return s.manage(r)
}

func (s *server) manage(r request) (any, error) {
	switch r.Method {
	case "socketsJoin":
		s.operator(r.Target).SocketsJoin(roomsOf(r.Args[0])...)
	case "socketsLeave":
		s.operator(r.Target).SocketsLeave(roomsOf(r.Args[0])...)
	case "disconnectSockets":
		s.operator(r.Target).DisconnectSockets(r.Args[0].(bool))
	case "serverSideEmit":
		return nil, s.nsp(r.Target).ServerSideEmit(r.Args[0].(string), r.Args[1:]...)
	case "serverSideEmitWithAck":
		return answered(func(ack socket.Ack) error {
			return s.nsp(r.Target).ServerSideEmit(r.Args[0].(string), append(r.Args[1:], ack)...)
		})
	case "serverCount":
		return s.nsp(r.Target).Adapter().ServerCount(), nil
	case "allRooms":
		rooms, err := adapter.AllRooms(s.nsp(r.Target))
		return sorted(rooms), err
	case "remote", "remoteAsk":
		return s.remote(r)
	default:
		return nil, fmt.Errorf("unknown method %q", r.Method)
	}
	return nil, nil
}

// answered waits for an acknowledgement.
func answered(emit func(socket.Ack) error) (any, error) {
	done := make(chan map[string]any, 2)
	err := emit(func(responses []any, err error) {
		done <- map[string]any{"err": err != nil, "responses": responses}
	})
	if err != nil {
		return nil, err
	}
	return <-done, nil
}

func (s *server) fetch(t target) (any, error) {
	list := []any{}
	var failed error
	s.operator(t).FetchSockets()(func(sockets []*socket.RemoteSocket, err error) {
		failed = err
		for _, r := range sockets {
			h := r.Handshake()
			query := map[string]string{}
			for k, v := range h.Query {
				query[k] = v[0]
			}
			handshake := map[string]any{
				"query": query, "auth": h.Auth, "url": h.Url, "secure": h.Secure, "issued": "number",
			}
			if v := h.Headers["User-Agent"]; len(v) > 0 {
				handshake["ua"] = v[0]
			}
			if v := h.Headers["X-Custom"]; len(v) > 0 {
				handshake["xcustom"] = v[0]
			}
			list = append(list, map[string]any{
				"id": r.Id(), "rooms": sorted(r.Rooms().Keys()), "data": r.Data(), "handshake": handshake,
			})
		}
	})
	return list, failed
}

func (s *server) remote(r request) (any, error) {
	var found *socket.RemoteSocket
	s.operator(r.Target).FetchSockets()(func(sockets []*socket.RemoteSocket, _ error) {
		if len(sockets) > 0 {
			found = sockets[0]
		}
	})
	if found == nil {
		return nil, fmt.Errorf("no such socket")
	}
	if r.Method == "remoteAsk" {
		v, err := answered(func(ack socket.Ack) error {
			return found.Timeout(2*time.Second).Emit(r.Args[0].(string), append(r.Args[1:], ack)...)
		})
		if m, ok := v.(map[string]any); ok {
			list, _ := m["responses"].([]any)
			m["r"] = nil
			if len(list) > 0 {
				m["r"] = list[0]
			}
		}
		return v, err
	}
	switch r.Args[0].(string) {
	case "emit":
		return nil, found.Emit(r.Args[1].(string), r.Args[2:]...)
	case "join":
		found.Join(roomsOf(r.Args[1])...)
	case "leave":
		found.Leave(roomsOf(r.Args[1])...)
	case "disconnect":
		found.Disconnect(r.Args[1].(bool))
	}
	return nil, nil
}

func roomsOf(v any) []socket.Room {
	switch v := v.(type) {
	case string:
		return []socket.Room{socket.Room(v)}
	case []any:
		var rooms []socket.Room
		for _, e := range v {
			rooms = append(rooms, socket.Room(e.(string)))
		}
		return rooms
	}
	return nil
}

func sorted(rooms []socket.Room) []socket.Room {
	slices.Sort(rooms)
	return rooms
}
