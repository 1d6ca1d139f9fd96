//go:build !unix

package http1

import "net"

// peeker is able to nothing here: no connection is used again.
type peeker struct{}

func (k *peeker) watch(net.Conn) {}

func (k *peeker) able() bool { return false }

func (k *peeker) open() bool { return false }
