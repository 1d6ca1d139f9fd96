//go:build linux

package nemesis

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

func ofNetworks() []Fault {
	return []Fault{
		{Name: "replica-alone", Asks: "one replica cut off from Redis: it stays ready, 0 lost, new ones come", Alike: true, NoFailures: true, do: cutOff},
		{Name: "node-unreachable", Asks: "one node cut off from one replica for 8 s: 0 lost", do: partition},
		{Name: "net-delay", Asks: "+60 ms everywhere, Redis too: 0 lost", Alike: true, do: func(ctx context.Context, r *Run) error {
			return r.weather(ctx, "net-delay", stage.Link{Delay: 30 * time.Millisecond})
		}},
		{Name: "net-loss", Asks: "3 % of the packets lost everywhere, Redis too: 0 lost", Alike: true, do: func(ctx context.Context, r *Run) error {
			return r.weather(ctx, "net-loss", stage.Link{Loss: 0.03})
		}},
	}
}

// cutOff takes one replica's way to Redis; with HAProxy, the way to its peers.
func cutOff(ctx context.Context, r *Run) error {
	p, others := r.replica()
	var far []netip.Addr
	if r.Sidway {
		for _, s := range r.Stage.Redis.Servers {
			far = append(far, s.Host.Addr)
		}
	} else {
		for _, o := range others {
			far = append(far, o.Host.Addr)
		}
	}
	set := func(l stage.Link) {
		for _, addr := range far {
			r.Stage.Wire.Set(p.Host.Addr, addr, l)
		}
	}
	i := r.begin(history.Injury{Fault: "replica-alone", Excuses: history.Nobody})
	set(stage.Link{Cut: true})
	fresh, err := r.come(many)
	if err != nil {
		return err
	}
	if err := Sleep(ctx, size(r, 10*time.Second, 30*time.Second)); err != nil {
		return err
	}
	if _, err := fresh.connected(ctx); err != nil {
		return err
	}
	if r.Sidway {
		if status, text := p.Ask(ctx, http.MethodGet, "/readyz", ""); status != http.StatusOK {
			r.flaw("the replica that is cut off is not ready: %d %s", status, text)
		}
	}
	set(stage.Link{})
	return r.back(ctx, i, 6*time.Second)
}

// partition cuts one node off from one replica for less than requests are held.
func partition(ctx context.Context, r *Run) error {
	p, _ := r.replica()
	n := r.node()
	i := r.begin(history.Injury{Fault: "node-unreachable", Excuses: history.Nobody, Polling: true})
	r.Stage.Wire.Set(p.Host.Addr, n.Host.Addr, stage.Link{Cut: true})
	if err := Sleep(ctx, 8*time.Second); err != nil {
		return err
	}
	r.Stage.Wire.Set(p.Host.Addr, n.Host.Addr, stage.Link{})
	return r.back(ctx, i, 8*time.Second)
}

// weather changes all links between hosts for a while.
func (r *Run) weather(ctx context.Context, name string, l stage.Link) error {
	i := r.begin(history.Injury{Fault: name, Excuses: history.Nobody})
	r.Stage.Wire.SetAll(l)
	fresh, err := r.come(few)
	if err != nil {
		return err
	}
	if err := Sleep(ctx, size(r, 10*time.Second, 30*time.Second)); err != nil {
		return err
	}
	if _, err := fresh.connected(ctx); err != nil {
		return err
	}
	r.Stage.Wire.SetAll(stage.Link{})
	return r.back(ctx, i, 3*time.Second)
}
