// Package recovery asks Redis what it takes to restore a Socket.IO session on another node, as @socket.io/redis-streams-adapter keeps it
// (dist/adapter.js, persistSession and restoreSession): an entry of the stream from which on events are sent again, and the session itself.
// A node takes the session away when it looks for it, whether or not it finds the entry, so both are looked for first.
package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotKept says that no node has written the session.
var ErrNotKept = errors.New("no node has kept the session")

// Lag is how much later than an adapter has added an entry the last node has sent it to its clients. Those of Node send what they have added
// themselves, and what others have, in no order, so that an entry tells nothing of those before it.
const Lag = time.Second

const (
	// opTime is the time limit of one question.
	opTime = time.Second
	// firstPause is the wait before the session is looked for again. It doubles, up to lastPause.
	firstPause = time.Millisecond
	lastPause  = 16 * time.Millisecond
	// keptTime is how long a node may take to write a session that its client has left.
	keptTime = 5 * time.Second
	// writtenTime is how long it may take to write one again whose node has crashed, where Redis has it already.
	writtenTime = 50 * time.Millisecond
)

// Store is the Redis that the nodes' adapters use. Its methods may be called concurrently.
type Store struct {
	client redis.UniversalClient
	stream string
	prefix string
}

// New returns a Store of the adapters' stream, `socket.io` by default, and prefix of sessions, `sio:session:`.
func New(client redis.UniversalClient, stream, prefix string) *Store {
	return &Store{client, stream, prefix}
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// Entry returns the id of the last entry that was made until a time in ms since 1970 by Redis' clock, or else the first that there is, and
// whether it is that and may be an event. To an empty stream it adds one that adapters leave alone.
func (s *Store) Entry(ctx context.Context, until int64) (id string, isFirst bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	found, err := s.client.XRevRangeN(ctx, s.stream, strconv.FormatInt(until, 10), "-", 1).Result()
	if err == nil && len(found) == 0 {
		found, err = s.client.XRangeN(ctx, s.stream, "-", "+", 1).Result()
		isFirst = len(found) > 0 && found[0].Values["nsp"] != nil
	}
	switch {
	case err != nil:
		return "", false, err
	case len(found) > 0:
		return found[0].ID, isFirst, nil
	}
	id, err = s.client.XAdd(ctx, &redis.XAddArgs{Stream: s.stream, Values: []string{"sidway", "first"}}).Result()
	return id, false, err
}

// Standing tells which of these ids are entries of the stream.
func (s *Store) Standing(ctx context.Context, ids []string) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	replies := make([]*redis.XMessageSliceCmd, len(ids))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			replies[i] = p.XRange(ctx, s.stream, id, id)
		}
		return nil
	})
	stand := make([]bool, len(ids))
	for i, r := range replies {
		stand[i] = err == nil && len(r.Val()) > 0
	}
	return stand, err
}

// Mark sends an event to one client through the stream, as an emitter does (@socket.io/redis-streams-emitter), and returns its entry's id.
func (s *Store) Mark(ctx context.Context, namespace, socket string, event ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	data, err := json.Marshal(map[string]any{
		"packet": map[string]any{"type": 2, "nsp": namespace, "data": event},
		"opts":   map[string]any{"rooms": []string{socket}, "except": []string{}, "flags": map[string]any{}},
	})
	if err != nil {
		return "", err
	}
	return s.client.XAdd(ctx, &redis.XAddArgs{Stream: s.stream, Values: []string{"uid", "emitter", "nsp", namespace, "type", "3", "data", string(data)}}).Result()
}

// noteTime is for how long notes of a session that polls are kept.
const noteTime = 10 * time.Minute

// Began is the name of a note of when the session was last connected to a namespace, in ms since 1970.
const Began = "began"

func noteKey(sid string) string { return "sidway-notes:" + sid }

// mostNotes is how many bytes of a session may be noted. None is known of one that says more, so that it is not moved.
const mostNotes = 32 << 10

// noted is the name of a note of how many bytes were.
const noted = "bytes"

// Note keeps what is to be known of a session that polls when it goes on by WebSocket, by name.
func (s *Store) Note(ctx context.Context, sid string, notes map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, opTime/4) // a poll waits for it
	defer cancel()
	size := 0
	for name, text := range notes {
		size += len(name) + len(text)
	}
	total, err := s.client.HIncrBy(ctx, noteKey(sid), noted, int64(size)).Result()
	if err != nil {
		return err
	}
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		if total > mostNotes {
			p.Del(ctx, noteKey(sid))
			p.HSet(ctx, noteKey(sid), noted, total)
		} else {
			p.HSet(ctx, noteKey(sid), notes)
		}
		p.PExpire(ctx, noteKey(sid), noteTime)
		return nil
	})
	return err
}

// KeepNotes has the notes of a session that still polls kept for longer.
func (s *Store) KeepNotes(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(ctx, opTime/4)
	defer cancel()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.PExpire(ctx, noteKey(sid), noteTime)
		p.PExpire(ctx, heardKey(sid), noteTime)
		return nil
	})
	return err
}

// Notes returns what Note has kept.
func (s *Store) Notes(ctx context.Context, sid string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	found, err := s.client.HGetAll(ctx, noteKey(sid)).Result()
	delete(found, noted)
	return found, err
}

// ForgetNotes forgets the notes of a session that has ended, or polls no more.
func (s *Store) ForgetNotes(ctx context.Context, sid string) error {
	ctx, cancel := context.WithTimeout(ctx, opTime/4)
	defer cancel()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // they may live on different servers
		p.Del(ctx, noteKey(sid))
		p.Del(ctx, heardKey(sid))
		p.Del(ctx, acksKey(sid))
		return nil
	})
	return err
}

// Kept is how long sessions were kept at a time, by their private ids.
type Kept struct {
	at   time.Time
	left map[string]time.Duration
}

// sameLeft is by how much less the time that a session is kept differs from what it was where the session was not written since.
const sameLeft = 300 * time.Millisecond

// Kept returns how long the sessions are kept, those that are.
func (s *Store) Kept(ctx context.Context, pids []string) (Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	replies := make([]*redis.DurationCmd, len(pids))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, pid := range pids {
			replies[i] = p.PTTL(ctx, s.prefix+pid)
		}
		return nil
	})
	if err != nil {
		return Kept{}, err
	}
	kept := Kept{time.Now(), map[string]time.Duration{}}
	for i, r := range replies {
		if r.Val() > 0 {
			kept.left[pids[i]] = r.Val()
		}
	}
	return kept, nil
}

// Await waits until the sessions have been written by their node when it left them, since before was true, for so long, 0 for as long as a node may take.
// Nodes that keep live sessions keep these for longer, so that what shortens the time was the last write. A session that was
// kept before need not be written again. ErrNotKept, where they have not.
func (s *Store) Await(ctx context.Context, pids []string, before Kept, patience time.Duration) error {
	unwritten := writtenTime
	if patience == 0 {
		patience, unwritten = keptTime, time.Second
	}
	began, pause := time.Now(), firstPause
	for {
		now, err := s.Kept(ctx, pids) // one that was late says nothing of the next
		kept := now.left
		all, written := err == nil, err == nil
		for _, pid := range pids {
			left, is := kept[pid]
			was, had := before.left[pid]
			all = all && is
			written = written && is && (!had || was-time.Since(before.at)-left > sameLeft)
		}
		switch waited := time.Since(began); {
		case written, all && waited > unwritten:
			return nil
		case waited > patience && err != nil:
			return err
		case waited > patience:
			return ErrNotKept
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}
