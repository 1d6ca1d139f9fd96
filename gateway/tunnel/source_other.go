//go:build !unix

package tunnel

import (
	"net"
	"syscall"
)

// rawConn returns nil: reads here are plain ones, and a waiting direction keeps its small buffer.
func rawConn(net.Conn) syscall.RawConn { return nil }

func (s *source) tryRead(uintptr) bool { return true }
