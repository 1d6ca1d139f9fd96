package notice_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

func TestOnceInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := notice.Limiter[string]{Pause: time.Minute}
		for range 3 {
			for _, k := range []string{"a", "b"} {
				var due atomic.Int32
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						if l.Due(k) {
							due.Add(1)
						}
					})
				}
				if wg.Wait(); due.Load() != 1 {
					t.Errorf("%s: due %d times", k, due.Load())
				}
			}
			time.Sleep(time.Minute - time.Nanosecond)
			if l.Due("a") {
				t.Error("due again within a pause")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

// Strangers choose some of what is told of, such as paths: no more than Most are told of and remembered.
func TestNoMoreThanMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := notice.Limiter[int]{Pause: time.Hour, Most: 3}
		for range 2 {
			due := 0
			for k := range 100 {
				if l.Due(k) {
					due++
				}
				time.Sleep(time.Second)
			}
			if due != 3 {
				t.Errorf("due %d times", due)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestTroubleThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := notice.Limiter[string]{Pause: 10 * time.Second}
		for range 2 {
			for i := range 30 {
				if due := l.DueAfterQuiet("accept"); due != (i == 0) {
					t.Errorf("call %d: due is %v", i, due)
				}
				time.Sleep(time.Second)
			}
			time.Sleep(9 * time.Second)
		}
	})
}
