// Package mend works around what is broken in socket.io/v2 and engine.io/v2 v2.5.0, from outside of them: frames without
// payload and the order of events (parser.go, order.go), what happens to requests and connections below Socket.IO
// (guard.go, hijack.go, batch.go), polling (polling.go), and sessions behind a server's end (closed.go).
//
//	mend.Harden(opts)                  // before the server is made
//	joining := mend.Order(namespace)   // by the namespace's adapter
//	handler := mend.Handler(server)    // in place of ServeHandler
//
// What a broadcast loses in the library is the adapter's own to deliver, and is not mended here.
package mend
