package rooms

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// pageSize is how many messages a client gets at a time.
const pageSize = 100

//go:embed append.lua
var appendSource string

var appendScript = redis.NewScript(appendSource)

// Message is one entry of a room's log.
type Message struct {
	ID    string `json:"id,omitempty"` // where it stands in the log; see Position
	Key   string `json:"key"`          // made by the client, so that it can send again without being heard twice
	UID   string `json:"uid"`          // who sent it
	Name  string `json:"name"`
	Text  string `json:"text"`
	At    int64  `json:"at"` // milliseconds since 1970
	Image *Image `json:"image,omitempty"`
}

// Image is what the log says of an image; its bytes are kept beside the log.
type Image struct {
	Type string `json:"type"`
	Size int    `json:"size"`
}

// Page is a part of a room's log, in order.
type Page struct {
	Messages []Message `json:"messages"`
	// More says that the log goes on in the direction that was asked for.
	More bool `json:"more"`
	// Reset says that what the client has is not of this log, so that the page is the end of the log instead.
	Reset bool `json:"reset"`
	// Read is how far members have read: the two that read furthest, so that there is one beside the asker.
	Read []Reader `json:"read"`
}

// Reader is a member and the last message that its client has.
type Reader struct {
	UID string `json:"uid"`
	ID  string `json:"id"`
}

// Position takes an id apart: when its log began, in milliseconds since 1970, and the message's number in it. Numbers
// begin at 1 and have no gaps, so a client sees what it lacks. A log that began at another time is another log.
func Position(id string) (began, number int64, ok bool) {
	left, right, found := strings.Cut(id, "-")
	began, err1 := strconv.ParseInt(left, 10, 64)
	number, err2 := strconv.ParseInt(right, 10, 64)
	return began, number, found && err1 == nil && err2 == nil && began > 0 && number > 0
}

// Append puts a message at the end of a room's log and returns its id. It may be called again after an error, on any
// node: a message with the same key is appended once. image is nil or what m.Image tells of.
func (r *Rooms) Append(ctx context.Context, room string, m Message, image []byte) (id string, err error) {
	m.ID = ""
	body, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("rooms: encode: %w", err)
	}
	keys := []string{keyOf(room, "log"), keyOf(room, "sent:"+m.Key), keyOf(room, "images"), keyOf(room, "image:"+m.Key)}
	id, err = appendScript.Run(ctx, r.rdb, keys, r.opts.Messages, r.opts.Images, int(r.opts.Life.Seconds()),
		time.Now().UnixMilli(), m.Key, body, image, keyOf(room, "image:")).Text()
	if err != nil {
		return "", fmt.Errorf("rooms: append: %w", err)
	}
	return id, nil
}

// After returns what follows the message with this id, from the front. Where the id is empty or of another log, it is
// the end of the log.
func (r *Rooms) After(ctx context.Context, room, id string) (Page, error) {
	log := keyOf(room, "log")
	var follows, end *redis.XMessageSliceCmd
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		if _, _, ok := Position(id); ok {
			follows = p.XRangeN(ctx, log, "("+id, "+", pageSize)
		}
		end = p.XRevRangeN(ctx, log, "+", "-", pageSize)
		return nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("rooms: read the log: %w", err)
	}
	page := Page{}
	last := end.Val()
	slices.Reverse(last)
	if follows != nil && sameLog(id, last) {
		page.Messages, page.More = messages(follows.Val()), len(follows.Val()) == pageSize
	} else {
		page.Messages, page.Reset = messages(last), true
	}
	page.Read, err = r.readers(ctx, room)
	return page, err
}

// sameLog tells whether the id is of the log that these entries end.
func sameLog(id string, end []redis.XMessage) bool {
	if len(end) == 0 {
		return false
	}
	began, number, _ := Position(id)
	now, last, _ := Position(end[len(end)-1].ID)
	return began == now && number <= last
}

// Before returns what precedes the message with this id, nearest last.
func (r *Rooms) Before(ctx context.Context, room, id string) (Page, error) {
	if _, _, ok := Position(id); !ok {
		return Page{Messages: []Message{}}, nil
	}
	entries, err := r.rdb.XRevRangeN(ctx, keyOf(room, "log"), "("+id, "-", pageSize).Result()
	if err != nil {
		return Page{}, fmt.Errorf("rooms: read the log: %w", err)
	}
	slices.Reverse(entries)
	return Page{Messages: messages(entries), More: len(entries) == pageSize}, nil
}

// messages decodes entries. What cannot be decoded still takes its place, because numbers have no gaps.
func messages(entries []redis.XMessage) []Message {
	list := make([]Message, 0, len(entries))
	for _, e := range entries {
		var m Message
		body, _ := e.Values["message"].(string)
		_ = json.Unmarshal([]byte(body), &m)
		m.ID = e.ID
		list = append(list, m)
	}
	return list
}

// Image returns the bytes of the image that came with the message of this key; nil when it is no longer kept.
func (r *Rooms) Image(ctx context.Context, room, key string) ([]byte, error) {
	b, err := r.rdb.Get(ctx, keyOf(room, "image:"+key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rooms: read an image: %w", err)
	}
	return b, nil
}

// Read records that a member's client has all messages up to this one.
func (r *Rooms) Read(ctx context.Context, room, uid, id string) error {
	key := keyOf(room, "read")
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, uid, id)
		p.Expire(ctx, key, r.opts.Life)
		return nil
	})
	if err != nil {
		return fmt.Errorf("rooms: record a reader: %w", err)
	}
	return nil
}

func (r *Rooms) readers(ctx context.Context, room string) ([]Reader, error) {
	all, err := r.rdb.HGetAll(ctx, keyOf(room, "read")).Result()
	if err != nil {
		return nil, fmt.Errorf("rooms: read the readers: %w", err)
	}
	list := make([]Reader, 0, len(all))
	for uid, id := range all {
		list = append(list, Reader{uid, id})
	}
	slices.SortFunc(list, func(a, b Reader) int {
		began, number, _ := Position(a.ID)
		otherBegan, otherNumber, _ := Position(b.ID)
		if began != otherBegan {
			return int(otherBegan - began)
		}
		return int(otherNumber - number)
	})
	return list[:min(2, len(list))], nil
}
