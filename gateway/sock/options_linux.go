package sock

import "golang.org/x/sys/unix"

// firstProbe is after how many seconds a silent peer is probed.
const firstProbe = 15

// probes are when it is.
var probes = []option{
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, firstProbe}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// lowWater is the option that limits what a connection keeps unsent.
const lowWater = unix.TCP_NOTSENT_LOWAT

// Unacknowledged reports whether the other end has not confirmed all that was sent to it. Behind the end of what it sends, which
// confirms all that it had received, this means that it had not received all when it closed.
func Unacknowledged(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	return err == nil && n > 0
}
