//go:build portable

package loop

import "golang.org/x/sys/unix"

// pollEnd is what poll(2) calls the peer's end, where it tells of that apart from what is to be read.
const pollEnd = unix.POLLRDHUP
