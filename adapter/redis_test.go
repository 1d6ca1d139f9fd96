package adapter_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func redisClient(t *testing.T, port int) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), PipelinePoolSize: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sessionHolds tells whether the one session under a prefix holds all of the words.
func sessionHolds(t *testing.T, c *redis.Client, prefix string, words ...string) bool {
	keys, err := c.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) != 1 {
		return false
	}
	text, err := c.Get(t.Context(), keys[0]).Result()
	if err != nil {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	for _, w := range words {
		if !strings.Contains(string(b), w) {
			return false
		}
	}
	return true
}
