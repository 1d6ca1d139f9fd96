package frame_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/sidway/sidway/bench/frame"
)

func TestMaskedFramesOfEveryLengthReadBack(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	for _, n := range []int{0, 1, 7, 8, 125, 126, 127, 65535, 65536, frame.MaxPayload} {
		b := frame.Masked(frame.Message(n), mask)
		h, err := frame.Parse(b)
		if err != nil || !h.Masked || h.Mask != mask || h.First != frame.Text || h.Payload != n || h.Size+n != len(b) {
			t.Fatalf("%d bytes: %+v %v", n, h, err)
		}
		frame.Mask(b[h.Size:], h.Mask)
		if !bytes.Equal(b[h.Size:], frame.Message(n)) {
			t.Fatalf("%d bytes: other content", n)
		}
		for cut := range h.Size {
			if part, err := frame.Parse(b[:cut]); part.Size != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %+v %v", cut, n, part, err)
			}
		}
	}
}

func TestPlainFramesCarryNoMask(t *testing.T) {
	h, err := frame.Parse(frame.Plain(frame.Message(300)))
	if err != nil || h.Masked || h.Size != 4 || h.Payload != 300 {
		t.Fatalf("%+v %v", h, err)
	}
}

func TestFramesBeyondTheLimitAreRefused(t *testing.T) {
	b := binary.BigEndian.AppendUint64([]byte{frame.Text, 127}, 1<<63)
	if _, err := frame.Parse(b); err != frame.ErrTooLong {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{frame.Text, 3, 'a', 'b', 'c'})
	f.Add(frame.Masked(frame.Message(200), [4]byte{1, 2, 3, 4}))
	f.Add(frame.Plain(frame.Message(70_000))[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := frame.Parse(b)
		if err != nil || h.Size == 0 {
			return
		}
		if h.Size > len(b) || h.Payload < 0 || h.Payload > frame.MaxPayload {
			t.Fatalf("%+v of %d bytes", h, len(b))
		}
		if head := frame.AppendHead(nil, h.First, h.Payload); !h.Masked && len(head) == h.Size && !bytes.HasPrefix(b, head) {
			t.Fatalf("%x is read as %x", b[:h.Size], head)
		}
	})
}
