package certs_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/certs"
)

// FuzzTickets holds that whatever Redis has for keys, tickets are made by the key that it has for this period, if that is one, else by
// one of the replica's own, and that no other keys open them than those of a few periods.
func FuzzTickets(f *testing.F) {
	key := strings.Repeat("k", 32)
	f.Add(int64(0), key, "5", key)
	f.Add(int64(1), key, "x", "")
	f.Add(int64(-1), key[1:], "-1", key)
	f.Add(int64(0), "", "9223372036854775808", key+"k")
	f.Add(int64(0), key+"k", "5", key)
	f.Add(int64(900), key, "+0", strings.Repeat("\x00", 32))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	period := now.UnixNano() / int64(certs.TicketPeriod)
	f.Fuzz(func(t *testing.T, behind int64, value, field, other string) {
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && n == period+behind {
			return // Redis has a field once
		}
		known := strconv.FormatInt(period+behind, 10)
		keys, old, err := certs.Tickets(now, map[string]string{known: value, field: other})
		if err != nil || len(keys) < 2 || len(keys) > 4 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for i, k := range keys {
			if k == [32]byte{} && value != string(k[:]) && other != string(k[:]) || slices.Contains(keys[:i], k) && value != other {
				t.Errorf("key %d is %x", i, k)
			}
		}
		if usable := len(value) == 32; behind == 0 && usable != (string(keys[0][:]) == value) || slices.Contains(old, known) == (usable && (behind == 0 || behind == 1)) && behind >= -1 && behind <= 1 {
			t.Errorf("%d has %q; tickets are made by %q, and Redis loses %q", behind, value, keys[0], old)
		}
		if _, err := strconv.ParseInt(field, 10, 64); err != nil && !slices.Contains(old, field) {
			t.Errorf("%q stays", field)
		}
	})
}
