package adapter

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/sidway/sidway/adapter/internal/wire"
)

// read follows the stream until ctx ends.
func (s *stream) read(ctx context.Context) {
	if s.owned {
		ended := make(chan struct{})
		context.AfterFunc(ctx, func() {
			_ = s.client.Close() // a blocked read ends with its connection
			close(ended)
		})
		defer func() { <-ended }()
	}
	last, ok := s.begin(ctx)
	if !ok {
		return
	}
	close(s.began)
	var wait backoff
	for ctx.Err() == nil {
		list, err := s.client.XRead(ctx, &redis.XReadArgs{
			Streams: []string{s.hub.opts.Stream, last}, Count: readCount, Block: readBlock,
		}).Result()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			if ctx.Err() == nil {
				s.hub.opts.Logger.Debug("stream is not read", slog.Any("error", err))
			}
			wait.wait(ctx)
		default:
			if wait.last > 0 {
				s.gap(ctx, last)
			}
			wait.reset()
			for _, x := range list[0].Messages {
				s.dispatch(x)
				last = x.ID
			}
		}
	}
}

// begin finds the newest entry: what is older is not for this node.
func (s *stream) begin(ctx context.Context) (id string, ok bool) {
	var wait backoff
	for {
		list, err := s.client.XRevRangeN(ctx, s.hub.opts.Stream, "+", "-", 1).Result()
		switch {
		case err == nil && len(list) > 0:
			return list[0].ID, true
		case err == nil:
			return "0-0", true
		case !wait.wait(ctx):
			return "", false
		}
	}
}

// gap counts, after an outage, whether entries were trimmed before they could be read.
func (s *stream) gap(ctx context.Context, last string) {
	length, err := s.client.XLen(ctx, s.hub.opts.Stream).Result()
	if err != nil || length < s.hub.opts.MaxLen {
		return
	}
	list, err := s.client.XRangeN(ctx, s.hub.opts.Stream, "-", "+", 1).Result()
	if err == nil && len(list) > 0 && laterID(list[0].ID, last) {
		s.lose(lostGap, 1)
		s.hub.opts.Logger.Error("the stream was trimmed before it was read", slog.String("last", last))
	}
}

// dispatch hands an entry to the namespaces that it is for, in the order of the stream.
func (s *stream) dispatch(x redis.XMessage) {
	nsp, _ := x.Values["nsp"].(string)
	uid, _ := x.Values["uid"].(string)
	seq, _ := x.Values["seq"].(string)
	s.mu.Lock()
	list := s.spaces[nsp]
	s.mu.Unlock()
	for _, b := range list {
		if uid == b.node.uid {
			s.own(uid, seq, x.ID)
			continue
		}
		if text, _ := x.Values["data"].(string); len(text) > s.hub.opts.MaxMessage {
			s.lose(lostTooLarge, 1)
			continue
		}
		m, of, err := wire.DecodeStream(x.Values)
		s.order.run(func() { b.take(m, of, x.ID, err) })
	}
}

// laterID tells whether the entry id a is behind b. Both are of the form milliseconds-sequence.
func laterID(a, b string) bool {
	am, as := splitID(a)
	bm, bs := splitID(b)
	return am > bm || am == bm && as > bs
}

func splitID(id string) (ms, seq uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	seq, _ = strconv.ParseUint(right, 10, 64)
	return ms, seq
}
