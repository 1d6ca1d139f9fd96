//go:build !unix

package http1

import (
	"net"
	"syscall"
)

// rawConn returns nil: sockets of this system are not read by a call that returns when nothing is there.
func rawConn(net.Conn) syscall.RawConn { return nil }

func (r *Reader) receive(uintptr) bool { return true }
