package launch_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sidway/sidway/demo/launch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBlockedReadsAreAnsweredAfterAnOutage reads a stream as Node nodes do, by commands that wait for the next entry.
func TestBlockedReadsAreAnsweredAfterAnOutage(t *testing.T) {
	e, err := launch.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	options, err := redis.ParseURL(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	for range 2 {
		if err := e.Outage(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() {
			_, err := rdb.XRead(t.Context(), &redis.XReadArgs{Streams: []string{"s", "$"}, Block: time.Minute}).Result()
			read <- err
		}()
		// The entry has to come when the reader waits for it already, so there is one now and then until it was heard of.
		for heard := false; !heard; {
			if err := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "s", Values: []string{"a", "b"}}).Err(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-read:
				if heard = true; err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Millisecond):
			case <-t.Context().Done():
			}
		}
		_, err := rdb.XRead(t.Context(), &redis.XReadArgs{Streams: []string{"s", "$"}, Block: 20 * time.Millisecond}).Result()
		if err != redis.Nil {
			t.Errorf("nothing came, but: %v", err)
		}
	}
}
