// Package engineio holds what the Engine.IO protocol says and a gateway must read or say itself: the query of a
// request, the open packet of a handshake's answer, the close packet of a payload, and the answers that a node would
// give. It does no I/O, starts nothing and keeps nothing: every function works on the bytes it is given.
//
// A request's query says which session it belongs to:
//
//	q, err := engineio.ParseQuery("EIO=4&transport=polling&t=Pa3k&sid=TO9gdy7dDtqtZNAYAAAB")
//	if err != nil {
//		e := err.(*engineio.Error)
//		answer := engineio.AnswerFor(engineio.PollGET, q, e.Cause())
//		...
//	}
//
// The protocol's two revisions in use are read: 4 (Engine.IO 4 to 6, Socket.IO 3 and 4) and 3 (Engine.IO 3, Socket.IO
// 2). Clauses are cited from the protocol's documents, "Engine.IO protocol" revision 4 and revision 3; where real
// servers differ from them the comment names the server: Node's engine.io 6.6.11 and 3.6.2 and Go's engine.io/v2 2.5.0.
//
// It is no Engine.IO server or client: it does not decode messages, keep timers or know Socket.IO's packets, and it
// reads nothing of WebTransport, whose sessions carry no query.
package engineio
