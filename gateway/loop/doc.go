// Package loop deals with many sockets on one goroutine, by epoll. A socket that waits costs its descriptor and a small
// record: no goroutine and no buffer.
//
//	loops, err := loop.Start(2)
//	…
//	l := loops[0]
//	l.Send(h) // h.Receive is called on the loop, and there:
//	token, err := l.Watch(fd, h, 0)
//	l.SetTimer(&h.Seat, l.Now()+time.Minute)
//
// What a handler does, it does on its loop's goroutine alone: it touches and closes its descriptors there, and never
// waits. Others reach it through Send.
//
// It speaks no protocol and owns no descriptor: whoever had one watched closes it, after Forget. It exists on Linux;
// elsewhere Start returns no loops.
package loop
