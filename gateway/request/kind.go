package request

import "github.com/sidway/sidway/engineio"

// Kind is what a request asks for. It decides what is done with it.
type Kind uint8

const (
	Ordinary          Kind = iota // not Socket.IO's: any node
	OrdinaryWebSocket             // a WebSocket on another path: any node
	Static                        // a file of the route's
	Handshake
	Poll // GET in a session
	Post // POST in a session
	Preflight
	Upgrade
	DirectConnect
	Kinds // how many there are
)

var kindNames = [Kinds]string{"ordinary", "ordinary_websocket", "static", "handshake", "poll", "post", "preflight", "upgrade", "direct_connect"}

// String returns the kind as a label of metrics.
func (k Kind) String() string { return kindNames[k] }

// answered is the column of the table of answers that a request of this kind reads from.
func (k Kind) answered() engineio.Kind {
	switch k {
	case Post:
		return engineio.PollPOST
	case Preflight:
		return engineio.Preflight
	case Upgrade, DirectConnect:
		return engineio.WebSocketGET
	}
	return engineio.PollGET
}

// SocketIO reports whether the request speaks Socket.IO.
func (k Kind) SocketIO() bool { return k >= Handshake }

// WantsTunnel reports whether the answer may be a 101.
func (k Kind) WantsTunnel() bool {
	return k == Upgrade || k == DirectConnect || k == OrdinaryWebSocket
}

// MakesSession reports whether the node answers with a session of its own making.
func (k Kind) MakesSession() bool { return k == Handshake || k == DirectConnect }
