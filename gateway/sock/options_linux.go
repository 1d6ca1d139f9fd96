package sock

import "golang.org/x/sys/unix"

// probes are when a silent peer is probed.
var probes = []option{
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// sends limits what a connection keeps unsent.
var sends = []option{{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent}}
