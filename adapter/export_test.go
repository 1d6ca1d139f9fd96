package adapter

import (
	"github.com/sidway/sidway/adapter/internal/library"
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
