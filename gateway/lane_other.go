//go:build !linux

package gateway

import "net"

// lanes need epoll, which this system does not have.
type lanes struct{}

func newLanes(*Gateway) lanes { return lanes{} }

func (lanes) listen(net.Listener) bool { return false }

func (lanes) stopListening() {}

func (lanes) close() {}

type lane struct{}

func (*lane) takeBack(*client) bool { return false }
