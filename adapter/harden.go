package adapter

import (
	"net/http"

	"github.com/sidway/sidway/adapter/internal/mend"
	"github.com/zishang520/socket.io/v2/socket"
)

// Harden mends defects of the library itself (socket.io/v2 v2.5.0). It must be called before the server is made:
//
//   - a frame without the payload that its type needs closes its connection instead of killing the process;
//   - the events of a socket are handled in the order of their sending, one after the other, and not before the
//     connection handlers have returned, at most two seconds; a handler that has to wait for a later event of the same
//     client does so in a goroutine of its own;
//   - a socket's auth is an empty object where the client sent none, as in Node;
//   - broadcasts in bursts arrive, and sockets whose connection broke while they connected are swept: both by the
//     adapters of this package, of which Local is set where opts has none.
//
// It keeps a parser that opts already has and checks what that decodes. With an adapter that is not of this package, only
// the first and the third of these hold. Defects below Socket.IO are mended by Handler.
func Harden(opts socket.ServerOptionsInterface) {
	mend.Harden(opts)
	if opts.GetRawAdapter() == nil {
		opts.SetAdapter(Local())
	}
}

// Handler returns the handler of io, to be mounted at its path for all methods, with a guard in front that mends what
// lies below Socket.IO and out of Harden's reach:
//
//   - a frame that a client sends before the session is complete waits, instead of being lost or killing the process;
//   - the open packet of a polling session is sent when the session can be found;
//   - a POST above MaxHttpBufferSize is refused with 413 also when it is chunked, and a binary one of EIO 4, which the
//     library would leave without an answer, with 400;
//   - packets above 64 KiB arrive by polling (in EIO 4; JSONP keeps the library's limit), a payload that cannot be
//     read ends its session, and one of EIO 3 cannot keep a processor busy;
//   - the last packet before a disconnection by the server is written before the connection is closed;
//   - after Close of io it makes no session any more: a request for one is answered 503;
//   - a client that does not read for 30 seconds is given up;
//   - a refused origin gets no Access-Control-Allow-Origin at all instead of "false".
//
// Call it once per server, in place of ServeHandler or Attach.
func Handler(io *socket.Server) http.Handler { return mend.Handler(io) }
