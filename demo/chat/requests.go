package chat

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/sidway/sidway/demo/rooms"
)

const (
	maxName = 24 // characters
	maxRoom = 32
	maxText = 4000
	maxKey  = 64 // bytes
)

// label returns what is shown of a name: without control characters, without those that turn the direction of what follows,
// without space around it, and no longer than most.
func label(text string, most int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, text))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return text
}

// isKey tells whether a client may use this as a key or as its uid: they become parts of Redis' keys.
func isKey(text string) bool {
	if text == "" || len(text) > maxKey {
		return false
	}
	for _, r := range text {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func roomOf(text string) string {
	return label(strings.NewReplacer("{", "", "}", "").Replace(text), maxRoom)
}

type joining struct {
	UID, Name, Room string
	After           string // id of the last message that the client has of this room
}

// join puts the client into a room, under a name, and gives it what it lacks of the room's log.
func (c *client) join(q joining, _ []byte) reply {
	name, room := label(q.Name, maxName), roomOf(q.Room)
	if name == "" || room == "" || !isKey(q.UID) {
		return refuse("a name and a room are needed")
	}
	before := c.member()
	c.mu.Lock()
	c.uid, c.name, c.room = q.UID, name, room
	c.mu.Unlock()
	// Before the rooms change, upon which the adapter keeps it.
	c.socket.SetData(plain(data{q.UID, name, room}))
	if before.Room != room {
		if before.Room != "" {
			c.socket.Leave(socket.Room(before.Room))
		}
		// Before the log is read, so that there is no gap between its end and the first broadcast.
		c.socket.Join(socket.Room(room))
	}
	ctx, cancel := c.node.context()
	defer cancel()
	if before.Room != "" && before.Room != room {
		if err := c.node.rooms.Leave(ctx, []rooms.Member{before}); err != nil {
			return c.away(err)
		}
	}
	if err := c.node.rooms.Report(ctx, c.node.self(), []rooms.Member{c.member()}); err != nil {
		return c.away(err)
	}
	c.node.lookSoon()
	page, err := c.node.rooms.After(ctx, room, q.After)
	if err != nil {
		return c.away(err)
	}
	return reply{"ok": true, "name": name, "room": room, "page": plain(page)}
}

type message struct{ Room, Key, Text string }

// message puts what the client says into the log, and then tells everybody.
func (c *client) message(q message, image []byte) reply {
	who, room := c.member(), roomOf(q.Room)
	q.Text = strings.ToValidUTF8(strings.TrimSpace(q.Text), "")
	m := rooms.Message{Key: q.Key, UID: who.UID, Name: who.Name, Text: q.Text, At: time.Now().UnixMilli()}
	switch {
	case who.Room == "":
		return reply{"ok": false, "error": "not in a room", "retry": true}
	case room == "" || !isKey(q.Key):
		return refuse("a room and a key are needed")
	case utf8.RuneCountInString(q.Text) > maxText:
		return refuse("too long")
	case q.Text == "" && len(image) == 0:
		return refuse("nothing to say")
	case len(image) > MaxImage:
		return refuse("an image may have 1 MB")
	}
	if len(image) > 0 {
		m.Image = &rooms.Image{Type: imageType(image), Size: len(image)}
		if m.Image.Type == "" {
			return refuse("not a PNG, JPEG, GIF or WebP image")
		}
	}
	ctx, cancel := c.node.context()
	defer cancel()
	id, err := c.node.rooms.Append(ctx, room, m, image)
	if err != nil {
		return c.away(err)
	}
	m.ID = id
	// Again for one that was appended before: the node that did it may have died before it told anybody.
	_ = c.node.io.To(socket.Room(room)).Emit("message", room, plain(m))
	return reply{"ok": true, "id": id}
}

// imageType tells an image by its bytes, not by what its sender says: only these are shown. Empty if it is none.
func imageType(b []byte) string {
	switch t := http.DetectContentType(b); t {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return t
	}
	return ""
}

type asking struct{ Room, After, Before, Key string }

// history gives what follows or precedes a message.
func (c *client) history(q asking, _ []byte) reply {
	ctx, cancel := c.node.context()
	defer cancel()
	read := func() (rooms.Page, error) { return c.node.rooms.After(ctx, roomOf(q.Room), q.After) }
	if q.Before != "" {
		read = func() (rooms.Page, error) { return c.node.rooms.Before(ctx, roomOf(q.Room), q.Before) }
	}
	page, err := read()
	if err != nil {
		return c.away(err)
	}
	return reply{"ok": true, "page": plain(page)}
}

// image gives the bytes of a message's image.
func (c *client) image(q asking, _ []byte) reply {
	if !isKey(q.Key) {
		return refuse("a key is needed")
	}
	ctx, cancel := c.node.context()
	defer cancel()
	b, err := c.node.rooms.Image(ctx, roomOf(q.Room), q.Key)
	if err != nil {
		return c.away(err)
	}
	if b == nil {
		return refuse("no longer kept")
	}
	return reply{"ok": true, "type": imageType(b), "data": b}
}

type reading struct{ Room, ID string }

// read records that the client has everything up to a message, and tells those who wait to hear of it.
func (c *client) read(q reading, _ []byte) reply {
	who, room := c.member(), roomOf(q.Room)
	if _, _, ok := rooms.Position(q.ID); !ok || who.UID == "" || room == "" {
		return refuse("a room and a message are needed")
	}
	ctx, cancel := c.node.context()
	defer cancel()
	if err := c.node.rooms.Read(ctx, room, who.UID, q.ID); err != nil {
		return c.away(err)
	}
	_ = c.socket.To(socket.Room(room)).Emit("read", room, plain(rooms.Reader{UID: who.UID, ID: q.ID}))
	return done()
}

// beat only answers, so that a client can measure for how long nobody does.
func (c *client) beat(_ struct{}, _ []byte) reply {
	return reply{"ok": true, "node": c.node.opts.Name}
}

// typing tells the others in the room; it is not kept and may be lost.
func (c *client) typing(_ struct{}, _ []byte) reply {
	if who := c.member(); who.Room != "" {
		_ = c.socket.Volatile().To(socket.Room(who.Room)).Emit("typing", who.Room, map[string]any{"uid": who.UID, "name": who.Name})
	}
	return done()
}
