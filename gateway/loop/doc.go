//go:build unix

// Package loop deals with many sockets on one goroutine. A socket that waits costs its descriptor and a small record: no
// goroutine and no buffer.
//
//	loops, err := loop.Start(2)
//	…
//	l := loops[0]
//	l.Send(h) // h.Receive is called on the loop, and there:
//	token, err := l.Watch(fd, h, 0)
//	n, err := l.Read(token, fd, l.Shared) // in h.Event
//	l.SetTimer(&h.Timer, l.Now()+time.Minute)
//
// What a handler does, it does on its loop's goroutine alone: it touches and closes its descriptors there, and never
// waits. Others reach it through Send.
//
// It speaks no protocol and owns no descriptor: whoever had one watched closes it, after Forget. On Linux it uses epoll; on any
// other Unix, and on Linux with the build tag portable, poll(2), which is good for development and few connections.
package loop
