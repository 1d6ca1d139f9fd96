package affinity

import (
	"context"
	"net"
	"runtime"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The codec of Redis's values, for its fuzz tests.
var (
	Encode = func(b Binding) string { return string(encode(b)) }
	Decode = decode
)

// Senders returns on how many goroutines the operations of a Redis were sent that looked up these sids one after another.
func Senders(ctx context.Context, r *Redis, sids []string) int {
	senders := map[string]bool{}
	for _, sid := range sids {
		_ = r.batches.do(ctx, func(p redis.Pipeliner) {
			stack := make([]byte, 64)
			id, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), " [")
			senders[id] = true
			p.Get(ctx, sid)
		})
	}
	return len(senders)
}

// Bounded is a connection to Redis as the dialer makes it.
func Bounded(c net.Conn) net.Conn { return &boundedConn{Conn: c} }
