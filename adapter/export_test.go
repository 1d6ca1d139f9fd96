package adapter

import (
	"time"

	"github.com/sidway/sidway/adapter/internal/library"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// Plant has c find l where it looks for the library.
func Plant(c socket.AdapterConstructor, l library.Library) {
	switch c := c.(type) {
	case *constructor:
		c.check.library = l
	case *localConstructor:
		c.check.library = l
	}
}

// KeepsLate has a session persisted while a look at the same socket, begun before, is noted behind it, and returns whether that is written in its place.
func KeepsLate(nsp socket.Namespace) bool {
	n := newNode(nsp, Options{}.withDefaults())
	k := newSessions(&streams{node: n})
	n.left = k.left
	n.AddAll("sid", types.NewSet[socket.Room]("sid"))
	k.persist(session{sid: "sid", pid: "pid", data: "latest"})
	latest := k.writes["pid"]
	k.note("sid", kept{pid: "pid", text: "earlier", at: time.Now()})
	n.DelAll("sid")
	return k.writes["pid"] != latest
}
