package cluster_test

import (
	"fmt"
	"testing"

	"github.com/sidway/sidway/gateway/cluster"
)

func TestSIDsAreRemembered(t *testing.T) {
	s := cluster.NewSIDs(1 << 14)
	if s.Has("a") || s.Take("a") {
		t.Error("a sid is remembered that never came")
	}
	s.Add("a")
	if !s.Has("a") || s.Has("b") || !s.Take("a") || s.Has("a") || s.Take("a") {
		t.Error("a sid is not remembered until it is taken")
	}
	const many = 1 << 10
	known := 0
	for i := range many {
		s.Add(fmt.Sprint("sid", i))
	}
	for i := range 2 * many {
		if s.Has(fmt.Sprint("sid", i)) {
			if known++; i >= many {
				t.Error("one sid is taken for another")
			}
		}
	}
	if known < many*8/10 {
		t.Errorf("%d of %d are remembered", known, many)
	}
	if n := testing.AllocsPerRun(100, func() { s.Add("sid1"); s.Has("sid1"); s.Take("sid1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
