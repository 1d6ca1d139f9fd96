package health_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/health"
)

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := health.Settings{Interval: time.Hour, Fall: 1, Rise: 1}
		y := newStory(t, settings)
		y.net.set("n1:80", errRefused)
		y.next(health.Refused, false, true, "refused")
		before := time.Now()
		y.p.Update(settings, append(nodes(1), health.Node{Name: "n2", Address: "n2:80"}))
		if v := <-y.verdicts; v.Node != "n2" || !v.Healthy || v.Outcome != health.OK {
			t.Errorf("another node: %+v", v)
		}
		y.p.Update(settings, nodes(1))
		if _, ok := y.p.Last("n2"); ok {
			t.Error("a node that is gone has a verdict")
		}
		if v, ok := y.p.Last("n1"); !ok || v.Healthy {
			t.Errorf("the same node again: %+v", v)
		}
		y.next(health.Refused, false, false, "refused")
		within(t, "the same again", time.Since(before), time.Hour)

		settings.Interval = time.Minute
		y.p.Update(settings, nodes(1))
		if pause := y.next(health.Refused, false, false, "refused"); pause > 12*time.Second {
			t.Errorf("other settings: after %v", pause)
		}
		within(t, "them", y.next(health.Refused, false, false, "refused"), time.Minute)

		settings.Fall = 2
		y.p.Update(settings, []health.Node{{Name: "n1", Address: "elsewhere:80"}})
		if _, ok := y.p.Last("n1"); ok {
			t.Error("another address has a verdict")
		}
		if v := <-y.verdicts; v.Address != "elsewhere:80" || !v.Healthy || v.Changed {
			t.Errorf("another address: %+v", v)
		}
		y.net.set("elsewhere:80", errRefused)
		y.next(health.Refused, true, false, "refused")
		settings.Status = 204
		y.p.Update(settings, []health.Node{{Name: "n1", Address: "elsewhere:80"}})
		y.next(health.Refused, true, false, "refused")
		y.next(health.Refused, false, true, "refused")
	})
}

// A probe that was under way when its node went, moved, or was to be probed otherwise, is not told of.
func TestUpdateDuringAProbe(t *testing.T) {
	for name, update := range map[string]func(*health.Prober, health.Settings){
		"gone":           func(p *health.Prober, s health.Settings) { p.Update(s, nothing) },
		"moved":          func(p *health.Prober, s health.Settings) { p.Update(s, []health.Node{{Name: "n1", Address: "n2:80"}}) },
		"other settings": func(p *health.Prober, s health.Settings) { s.Status = 204; p.Update(s, nodes(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := make(chan struct{})
				var told []health.Verdict
				dial := func(ctx context.Context, _, address string) (net.Conn, error) {
					select {
					case began <- struct{}{}:
						<-ctx.Done()
						return nil, ctx.Err()
					default:
						return nil, errRefused
					}
				}
				p := health.New(health.Options{Tell: func(v health.Verdict) { told = append(told, v) }, Dial: dial})
				settings := health.Settings{Interval: time.Minute}
				p.Update(settings, nodes(1))
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				var running sync.WaitGroup
				running.Go(func() { _ = p.Run(ctx) })
				<-began
				update(p, settings)
				running.Wait()
				for _, v := range told {
					if v.Outcome != health.Refused {
						t.Errorf("%+v", v)
					}
				}
				if (len(told) == 0) != (name == "gone") {
					t.Errorf("told of %d probes", len(told))
				}
			})
		})
	}
}

var nothing []health.Node

// A prober may run again; probes that were cut off count for nothing.
func TestRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := make(chan struct{}, 1)
		var hang atomic.Bool
		hang.Store(true)
		var told []health.Verdict
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			if hang.Load() {
				began <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, errRefused
		}
		p := health.New(health.Options{Tell: func(v health.Verdict) { told = append(told, v) }, Dial: dial})
		p.Update(health.Settings{Fall: 1}, nodes(1))
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			var running sync.WaitGroup
			running.Go(func() { _ = p.Run(ctx) })
			if hang.Load() {
				<-began
				cancel()
				hang.Store(false)
			}
			running.Wait()
			cancel()
		}
		if len(told) == 0 || slices.ContainsFunc(told, func(v health.Verdict) bool { return v.Outcome != health.Refused }) {
			t.Errorf("%+v", told)
		}
	})
}

// A probe that ends when the prober does was perhaps cut off: nobody is told.
func TestTellsNothingOnceItEnds(t *testing.T) {
	for range 30 { // which of the two it sees first is a matter of chance
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			told := 0
			p := health.New(health.Options{
				Tell: func(health.Verdict) {
					told++
					cancel()
					synctest.Wait() // until the other probe is over
				},
				Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
					if address == "n1:80" {
						return nil, errRefused
					}
					<-ctx.Done()
					return nil, ctx.Err()
				},
			})
			p.Update(health.Settings{Interval: time.Hour, Timeout: time.Hour}, nodes(2))
			_ = p.Run(ctx)
			if told != 1 {
				t.Errorf("told %d times", told)
			}
		})
	}
}
