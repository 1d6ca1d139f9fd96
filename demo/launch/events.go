package launch

import (
	"slices"
	"sync"
	"time"

	"github.com/sidway/sidway/demo/chat"
)

const (
	// sidShown is how much of a sid people may see.
	sidShown = 4
	// remembered is how many events people who come later are told.
	remembered = 60
)

// events is what has lately happened.
type events struct {
	mu   sync.Mutex
	last int64
	all  []chat.Event
}

// note remembers an event; its ID and time are set here.
func (e *events) note(v chat.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	v.ID, v.At = e.last, time.Now().UnixMilli()
	if len(e.all) == remembered {
		e.all = slices.Delete(e.all, 0, 1)
	}
	e.all = append(e.all, v)
}

func (e *events) list() []chat.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]chat.Event{}, e.all...)
}
