package gateway

import (
	"errors"
	"net"
	"slices"
	"syscall"

	"github.com/sidway/sidway/gateway/request"
)

// dialErrors are what a dial may say that is known by its number: only a refusal is a fact about the node. A shortage of our own is no
// fault of the node.
var dialErrors = []struct {
	meaning error
	numbers []syscall.Errno
}{
	{request.ErrRefused, []syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET}},
	{request.ErrNoPort, []syscall.Errno{syscall.EADDRNOTAVAIL}},
	{request.ErrShortage, []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}},
	{request.ErrUnreachable, []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN}},
}

// dialError sorts what a dial may say. A time-out may be a node that is slow, stopped or behind a broken network.
func dialError(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		for _, e := range dialErrors {
			if slices.Contains(e.numbers, number) {
				return e.meaning
			}
		}
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && !name.IsTimeout {
		return request.ErrUnreachable
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		return request.ErrNoConnect
	}
	return request.ErrSilent
}
