package launch

import (
	"context"
	"time"

	"github.com/sidway/sidway/demo/chat"
)

// Embedded is the Redis inside the launcher.
type Embedded struct{ *embedded }

// StartEmbedded starts one.
func StartEmbedded() (Embedded, error) {
	e, err := startEmbedded()
	if err != nil {
		return Embedded{}, err
	}
	e.note = func(chat.Event) {}
	return Embedded{e}, nil
}

// Outage stops it for so long.
func (e Embedded) Outage(ctx context.Context, lasts time.Duration) error { return e.outage(ctx, lasts) }

// URL is its address.
func (e Embedded) URL() string { return e.url() }

// Close ends it.
func (e Embedded) Close() { e.close() }

// PhoneURL is what a phone opens.
var PhoneURL = phoneURL
