package gateway

import (
	"context"

	"github.com/sidway/sidway/gateway/packet"
	"github.com/sidway/sidway/gateway/recovery"
)

// resent finds from where on events are to be sent again to a client whose node has crashed, and that has got these of a session that began then, in
// ms since 1970: what has come later than an entry of the stream that is so old may not have reached it. Zero says that it is not known.
func resent(ctx context.Context, store *recovery.Store, got packet.Received, began int64) (packet.Offset, error) {
	offsets := got.Offsets()
	ids := make([]string, len(offsets))
	for i, o := range offsets {
		ids[i] = o.String()
	}
	found, err := store.Standing(ctx, ids)
	if err != nil {
		return packet.Offset{}, err
	}
	stand := map[packet.Offset]bool{}
	for i, o := range offsets {
		stand[o] = found[i]
	}
	if !got.Keep(func(o packet.Offset) bool { return stand[o] }) {
		return packet.Offset{}, nil
	}
	until := began
	if newest := got.Newest(); !newest.IsZero() {
		until = newest.Millis() - recovery.Lag.Milliseconds()
	}
	entry, isFirst, err := store.Entry(ctx, until)
	o, _ := packet.ParseOffset(entry)
	switch {
	case err != nil, isFirst && !got.Got(o): // what was before it is not known
		return packet.Offset{}, err
	case o.Before(got.Oldest()):
		return got.Oldest(), nil
	}
	return o, nil
}
