//go:build linux

package nemesis

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
	"github.com/sidway/sidway/bench/checker/stage"
)

func ofReplicas() []Fault {
	return []Fault{
		{Name: "replica-kill", Asks: "only sessions with a request or tunnel on it end", do: killReplica},
		{Name: "replica-stop", Asks: "SIGTERM: sessions that poll live, tunnels end in waves", do: stopReplica},
		{Name: "replica-handover", Asks: "a new process: none refused, sessions that poll live", do: handOver},
		{Name: "bad-reload", Asks: "refused whole, the old one serves: 0 lost", do: reloadBadly},
		{Name: "descriptors", Asks: "used up: live ones go on, new ones get 503, recovers within 1 s", do: useUpDescriptors},
		{Name: "clock", Asks: "jumps by an hour: no effect", Only: "its clock cannot be changed alone", Clock: true, do: jumpClock},
	}
}

// onReplica is the end of a replica: the sessions on it, and upgrades that come to it as it ends.
func onReplica(name string, p *stage.Replica) history.Injury {
	return history.Injury{Fault: name, Excuses: history.SessionsOnReplicas, Replicas: []string{p.Addr()}, Polling: true}
}

func killReplica(ctx context.Context, r *Run) error {
	p, _ := r.replica()
	i := r.begin(onReplica("replica-kill", p))
	if err := p.Kill(); err != nil {
		return err
	}
	if err := r.back(ctx, i, 3*time.Second); err != nil {
		return err
	}
	return p.Start(ctx)
}

// stopReplica ends a replica as a supervisor does. A balancer sends it nothing more once it says that it is not ready.
func stopReplica(ctx context.Context, r *Run) error {
	p, others := r.replica()
	i := r.begin(onReplica("replica-stop", p))
	end := syscall.SIGTERM
	if !r.Sidway {
		end = syscall.SIGUSR1 // a soft stop
	}
	if err := p.Signal(end); err != nil {
		return err
	}
	if err := r.route(others...); err != nil {
		return err
	}
	gone, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := p.Exit(gone); err != nil {
		return err
	}
	if err := r.back(ctx, i, 3*time.Second); err != nil {
		return err
	}
	r.keeps(i)
	if err := p.Start(ctx); err != nil {
		return err
	}
	return r.route(r.Stage.Replicas...)
}

func (r *Run) route(replicas ...*stage.Replica) error {
	var fronts []string
	for _, p := range replicas {
		fronts = append(fronts, p.Addr())
	}
	return r.Crowd.Route(fronts...)
}

// handOver replaces the process of a replica by a new one of the same program, which takes its sockets.
func handOver(ctx context.Context, r *Run) error {
	p, _ := r.replica()
	i := r.begin(onReplica("replica-handover", p))
	if err := p.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	if err := r.fewCome(ctx); err != nil {
		return err
	}
	// HAProxy's first process is a master, which stays.
	if r.Sidway {
		gone, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := p.Exit(gone); err != nil {
			return err
		}
	} else if err := Sleep(ctx, 10*time.Second); err != nil {
		return err
	}
	if err := r.back(ctx, i, 3*time.Second); err != nil {
		return err
	}
	r.keeps(i)
	return nil
}

// fewCome has a few clients more connect, and waits until they have.
func (r *Run) fewCome(ctx context.Context) error {
	fresh, err := r.come(few)
	if err != nil {
		return err
	}
	_, err = fresh.connected(ctx)
	return err
}

// reloadBadly has all replicas read settings that are no good.
func reloadBadly(ctx context.Context, r *Run) error {
	i := r.begin(history.Injury{Fault: "bad-reload", Excuses: history.Nobody})
	reload, good, bad := syscall.SIGHUP, "shutdown:", "shutdwon:"
	if !r.Sidway {
		reload, good, bad = syscall.SIGUSR2, "default_backend", "defualt_backend"
	}
	for _, p := range r.Stage.Replicas {
		if err := p.Edit(good, bad); err != nil {
			return err
		}
		if err := p.Signal(reload); err != nil {
			return err
		}
	}
	if err := r.fewCome(ctx); err != nil {
		return err
	}
	if err := r.back(ctx, i, 3*time.Second); err != nil {
		return err
	}
	for _, p := range r.Stage.Replicas {
		if r.Sidway && p.Metrics(ctx).Sum(`sidway_reloads_total{outcome="refused"}`) == 0 {
			r.flaw("%s does not say that it has refused its settings", p.Name)
		}
		if err := p.Edit(bad, good); err != nil {
			return err
		}
	}
	return nil
}

// useUpDescriptors lets replicas open few files more than they have open, and has strangers take them.
func useUpDescriptors(ctx context.Context, r *Run) error {
	i := r.begin(history.Injury{Fault: "descriptors", Excuses: history.Nobody, Refuses: true, Polling: true})
	var strangers []net.Conn
	defer func() {
		for _, c := range strangers {
			_ = c.Close()
		}
	}()
	for _, p := range r.Stage.Replicas {
		open, err := p.Established(p.Addr())
		if err != nil {
			return err
		}
		// As many as sidway keeps for other things, and for each client one to its node; some clients come and go.
		if err := p.Descriptors(256 + 5*(open+20)/2); err != nil {
			return err
		}
	}
	if err := Sleep(ctx, 2*time.Second); err != nil { // limits are looked at each second
		return err
	}
	for _, p := range r.Stage.Replicas {
		refused := 0
		for len(strangers) < 2000 && refused < 10 {
			c, in := stranger(ctx, p.Addr())
			if !in {
				refused++
			}
			if c != nil {
				strangers = append(strangers, c)
			}
		}
		if refused < 10 {
			r.flaw("%s has refused only %d strangers", p.Name, refused)
		}
	}
	if err := Sleep(ctx, size(r, 3*time.Second, 10*time.Second)); err != nil {
		return err
	}
	began := time.Now()
	for _, p := range r.Stage.Replicas {
		if err := p.Descriptors(20000); err != nil {
			return err
		}
	}
	if err := r.served(ctx); err != nil {
		return err
	}
	r.within("new ones are served again after", time.Since(began), time.Second)
	return r.back(ctx, i, 0)
}

// stranger makes a direct connect on a connection that it keeps, and tells whether it has a session.
func stranger(ctx context.Context, address string) (net.Conn, bool) {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, false
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, err = fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address)
	if err != nil {
		return c, false
	}
	line := make([]byte, len("HTTP/1.1 101"))
	_, err = io.ReadFull(c, line)
	return c, err == nil && string(line[9:]) == "101"
}

// served asks each replica for a session until it gets one.
func (r *Run) served(ctx context.Context) error {
	for _, p := range r.Stage.Replicas {
		for !handshakes(ctx, p.Addr()) {
			if err := Sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func handshakes(ctx context.Context, address string) bool {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/socket.io/?EIO=4&transport=polling", nil)
	if err != nil {
		return false
	}
	a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}).Do(q)
	if err != nil {
		return false
	}
	defer a.Body.Close()
	return a.StatusCode == http.StatusOK
}

// jumpClock sets the replicas' clock forth and back by an hour.
func jumpClock(ctx context.Context, r *Run) error {
	i := r.begin(history.Injury{Fault: "clock", Excuses: history.Nobody})
	for _, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		if err := r.Stage.Clock(by); err != nil {
			return err
		}
		if err := r.fewCome(ctx); err != nil {
			return err
		}
		if err := Sleep(ctx, 3*time.Second); err != nil {
			return err
		}
	}
	return r.back(ctx, i, time.Second)
}
