package gateway

import (
	"testing"
	"unsafe"
)

// Each WebSocket of a cluster whose sessions can move has a follower: one byte more, and the allocator gives it 896.
func TestFollowerIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(follower{}); size > 768 {
		t.Errorf("a follower takes %d bytes", size)
	}
}
