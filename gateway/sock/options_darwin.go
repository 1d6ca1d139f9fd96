package sock

import "golang.org/x/sys/unix"

// probes are when a silent peer is probed.
var probes = []option{
	{unix.IPPROTO_TCP, unix.TCP_KEEPALIVE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// lowWater is the option that limits what a connection keeps unsent.
const lowWater = unix.TCP_NOTSENT_LOWAT

// Unacknowledged is known on Linux alone.
func Unacknowledged(int) bool { return false }
