package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sidway/sidway/demo/chat"
	"github.com/sidway/sidway/gateway/api"
)

const (
	// drained is for how long a node gets no sessions that was drained on purpose.
	drained = 10 * time.Second
	// drainTime is after what time the drain ends the sessions that cannot move. Those that poll begin after two seconds.
	drainTime = 8 * time.Second
	// askTime bounds one request to a replica's admin address; a move takes up to some seconds.
	askTime = 15 * time.Second
)

// errAbsent says that a replica knows no such thing.
var errAbsent = errors.New("not here")

// ask has a replica do something by its admin address.
func (l *Launch) ask(ctx context.Context, replica *process, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+replica.admin+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+l.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return errAbsent
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", replica.name, bytes.TrimSpace(answer))
	case into == nil:
		return nil
	}
	return json.Unmarshal(answer, into)
}

// moveSession moves a session to a node, or to any where none is named, and notes what became of it.
func (l *Launch) moveSession(ctx context.Context, sid, to string) {
	e := chat.Event{What: actMove, SID: sid[:min(sidShown, len(sid))], To: to, Outcome: "absent"}
	for _, p := range l.replicas {
		var m api.Move
		began := time.Now()
		err := l.ask(ctx, p, http.MethodPost, "/api/sessions/"+url.PathEscape(sid)+"/move", api.MoveSettings{To: to}, &m)
		if err == nil {
			e.From, e.To, e.Outcome, e.Took = m.From, m.Node, m.Outcome, time.Since(began).Milliseconds()
			break
		}
		if !errors.Is(err, errAbsent) && p.state().Up {
			e.Outcome = "refused"
			l.opts.Log.Debug("a session was not moved", "error", err)
		}
	}
	l.note(e)
}

func drainPath(node string) string { return "/api/clusters/" + Cluster + "/nodes/" + node + "/drain" }

// drain moves the sessions of a node away, and gives it new ones again after a while.
func (l *Launch) drain(ctx context.Context, p *process) {
	if !p.drains(true) {
		return // it is drained already
	}
	defer p.drains(false)
	began := time.Now()
	settings := api.DrainSettings{Deadline: drainTime.String()}
	if err := l.askAny(ctx, http.MethodPost, drainPath(p.name), settings); err != nil {
		l.note(chat.Event{What: actDrain, Name: p.name, Outcome: "refused"})
		return
	}
	l.note(chat.Event{What: actDrain, Name: p.name})
	if l.empty(ctx, p.name) {
		l.note(chat.Event{What: "drained", Name: p.name, Took: time.Since(began).Milliseconds()})
	}
	wait(ctx, drained-time.Since(began))
	l.undrain(ctx, p.name)
	l.note(chat.Event{What: "undrained", Name: p.name})
}

// undrain gives a node sessions again; while Redis is away, that fails.
func (l *Launch) undrain(ctx context.Context, node string) {
	for ctx.Err() == nil && l.askAny(ctx, http.MethodDelete, drainPath(node), nil) != nil {
		wait(ctx, time.Second)
	}
}

// empty waits until no replica carries a session of a node, and reports whether that came in time.
func (l *Launch) empty(ctx context.Context, node string) bool {
	for began := time.Now(); time.Since(began) < drained && ctx.Err() == nil; wait(ctx, 20*time.Millisecond) {
		left := 0
		for _, p := range l.replicas {
			var n api.Node
			if err := l.ask(ctx, p, http.MethodGet, "/api/clusters/"+Cluster+"/nodes/"+node, nil, &n); err == nil {
				left += n.Sessions
			}
		}
		if left == 0 {
			return true
		}
	}
	return false
}

// askAny has the first replica that can do something that holds for all.
func (l *Launch) askAny(ctx context.Context, method, path string, body any) (err error) {
	for _, p := range l.replicas {
		if err = l.ask(ctx, p, method, path, body, nil); err == nil {
			return nil
		}
	}
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
