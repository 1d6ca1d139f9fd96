package affinity

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

var errNoMaster = errors.New("the Sentinels that answer know no master")

// masterHook has the dials of a client behind Sentinels fail with errNoMaster where these do not know the master of that name. The
// client library wraps redis.Nil then, which every command would take for an answer of Redis.
type masterHook string

var _ redis.Hook = masterHook("")

// DialHook implements redis.Hook.
func (h masterHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if errors.Is(err, redis.Nil) {
			err = fmt.Errorf("%w called %s", errNoMaster, string(h))
		}
		return conn, err
	}
}

// ProcessHook implements redis.Hook: commands stay as they are.
func (masterHook) ProcessHook(redis.ProcessHook) redis.ProcessHook { return nil }

// ProcessPipelineHook implements redis.Hook: pipelines stay as they are.
func (masterHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return nil
}
