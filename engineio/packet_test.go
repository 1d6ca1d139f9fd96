package engineio_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
)

func TestPayloads(t *testing.T) {
	for _, c := range []struct {
		q           engineio.Query
		close, noop string
	}{
		{v4, "1", "6"},
		{v3, "1:1", "1:6"},
		{v4j, `___eio[7]("1");`, `___eio[7]("6");`},
		{v3j, `___eio[7]("1:1");`, `___eio[7]("1:6");`},
	} {
		if got := string(engineio.AppendClose([]byte("x"), c.q)); got != "x"+c.close {
			t.Errorf("close for %+v: %q", c.q, got)
		}
		if got := string(engineio.AppendNoop([]byte("x"), c.q)); got != "x"+c.noop {
			t.Errorf("noop for %+v: %q", c.q, got)
		}
		if !hasClose(c.q, []byte(c.close), node) || hasClose(c.q, []byte(c.noop), node) {
			t.Errorf("HasClose does not know them for %+v", c.q)
		}
	}
}

func TestFrames(t *testing.T) {
	if got := string(engineio.AppendTextFrame([]byte("x"), engineio.ProbePong)); got != "x\x81\x063probe" {
		t.Errorf("%q", got)
	}
	if got := string(engineio.AppendCloseFrame([]byte("x"), 1001)); got != "x\x88\x02\x03\xe9" {
		t.Errorf("%q", got)
	}
	for _, size := range []int{125, 126, 1000} {
		open := `0{"sid":"` + sid + `","x":"` + strings.Repeat("x", size) + `"}`
		if o, err := engineio.FindOpenFrame(engineio.AppendTextFrame(nil, open)); err != nil || o.SID != sid {
			t.Errorf("%d bytes: %+v, %v", len(open), o, err)
		}
	}
	long := engineio.AppendTextFrame(nil, strings.Repeat("x", 1<<16))
	if long[1] != 127 || binary.BigEndian.Uint64(long[2:]) != 1<<16 || len(long) != 10+(1<<16) {
		t.Errorf("% x", long[:10])
	}
}
