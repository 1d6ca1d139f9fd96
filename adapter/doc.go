// Package adapter joins Go Socket.IO servers, made with github.com/zishang520/socket.io/v2, into one cluster through
// Redis. On the wire it speaks what Node's adapters speak (@socket.io/redis-adapter 8.3, plain and sharded,
// @socket.io/redis-streams-adapter 0.3, @socket.io/redis-emitter 5.1), so that Go and Node nodes serve one cluster.
//
//	opts := socket.DefaultServerOptions()
//	adapter.Harden(opts)
//	opts.SetAdapter(adapter.PubSub(rdb, adapter.Options{}))
//	io := socket.NewServer(nil, opts)
//	http.Handle("/socket.io/", adapter.Handler(io))
//
// [PubSub], [Sharded] and [Streams] make the adapters, [Harden] and [Handler] mend what is broken in the library itself,
// [NewEmitter] sends from a process that runs no server, and [NewMetrics] counts for Prometheus.
//
// What it mends it mends from within: when the first adapter of a server is made, it looks at the socket.io/v2 of the
// program, warns of a version that it was not tested with, and panics at one that is built otherwise.
//
// The package does not choose nodes for clients and does not keep sessions sticky: that is the gateway's work.
package adapter
