package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sidway/sidway/gateway/api"
)

// statusPatience bounds the wait for the next status, which comes each second.
const statusPatience = 10 * time.Second

// status shows how a replica, its clusters and the other replicas are.
func (c command) status(ctx context.Context, args []string) error {
	var s settings
	var watch, asJSON bool
	fs := flag.NewFlagSet("status", flag.ContinueOnError)
	s.addRemote(fs)
	fs.BoolVar(&watch, "watch", false, "")
	fs.BoolVar(&asJSON, "json", false, "")
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "status")
	}
	r, err := c.remote(s, false)
	if err != nil {
		return err
	}
	switch {
	case asJSON && watch:
		lines := json.NewEncoder(c.stdout)
		if err = r.statuses(ctx, func(now *api.Status) bool { return lines.Encode(now) == nil }); ctx.Err() != nil {
			return nil // which ends it
		}
		return err
	case asJSON:
		all, err := r.read(ctx, http.MethodGet, "/api/status", nil, &api.Status{})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.stdout, string(all))
		return err
	case watch:
		return c.watchStatus(ctx, r)
	}
	var before *api.Status
	return r.statuses(ctx, func(now *api.Status) bool {
		if before == nil {
			before = now // with the next one it is known what grows
			return true
		}
		_, _ = io.WriteString(c.stdout, page{color: c.colors()}.of(minuteBefore(now), now))
		return false
	})
}

// minuteBefore returns as much of the status of a minute before as rates are made of, as far as the replica knows it, nil where it knows nothing.
func minuteBefore(now *api.Status) *api.Status {
	before := &api.Status{}
	less := func(totals, grown map[string]uint64) map[string]uint64 {
		was := map[string]uint64{}
		for name, n := range totals {
			was[name] = n - min(n, grown[name])
		}
		return was
	}
	for _, c := range now.Clusters {
		of := c.Recent
		if of.Seconds < 1 { // it has just begun, or is of an older version
			return nil
		}
		before.At = now.At.Add(-time.Duration(of.Seconds * float64(time.Second)))
		was := api.Cluster{Name: c.Name, Ended: c.Ended - min(c.Ended, of.Ended), Ends: less(c.Ends, of.Ends)}
		was.Handshakes.Made = c.Handshakes.Made - min(c.Handshakes.Made, of.Made)
		for _, n := range c.Nodes {
			g := of.Nodes[n.Name]
			was.Nodes = append(was.Nodes, api.Node{Name: n.Name, Handshakes: n.Handshakes - min(n.Handshakes, g.Handshakes), Errors: n.Errors - min(n.Errors, g.Errors)})
		}
		before.Clusters = append(before.Clusters, was)
	}
	return before
}

// watchStatus shows each status in place of the one before, until ctx is done.
func (c command) watchStatus(ctx context.Context, r *remote) error {
	terminal := isTerminal(c.stdout)
	if terminal {
		fmt.Fprint(c.stdout, "\x1b[?1049h\x1b[?25l") // another screen, without a cursor
		defer fmt.Fprint(c.stdout, "\x1b[?25h\x1b[?1049l")
	}
	show := func(text string) {
		if terminal {
			text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		}
		_, _ = io.WriteString(c.stdout, text)
	}
	for {
		var before *api.Status
		err := r.statuses(ctx, func(now *api.Status) bool {
			p := page{color: c.colors()}
			if terminal {
				p.width, p.height = windowOf(c.stdout)
			}
			show(p.of(before, now))
			before = now
			return true
		})
		if ctx.Err() != nil {
			return nil // which ends it
		}
		show(fmt.Sprintf("%v\nTrying again each second.\n", err))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// stream has each see the server-sent events of a path as they come, until it returns false or an error, or the replica ends its answer: then ended
// is true.
func (r *remote) stream(ctx context.Context, path string, each func(event string, data []byte) (more bool, err error)) (ended bool, err error) {
	res, err := r.open(ctx, http.MethodGet, path, "text/event-stream", nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	for event := ""; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return true, context.Cause(ctx)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			event = value
		case "data":
			if more, err := each(event, []byte(value)); err != nil || !more {
				return false, err
			}
		}
	}
}

// statuses has each see a replica's statuses as they come, one at once and then one a second, until it returns false.
func (r *remote) statuses(ctx context.Context, each func(*api.Status) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(statusPatience, func() { cancel(fmt.Errorf("the replica at %s says nothing for %v", r.address, statusPatience)) })
	defer silence.Stop()
	ended, err := r.stream(ctx, "/api/status/stream", func(event string, data []byte) (bool, error) {
		if event != "status" {
			return true, nil
		}
		silence.Reset(statusPatience)
		var s api.Status
		if err := json.Unmarshal(data, &s); err != nil {
			return false, err
		}
		return each(&s), nil
	})
	if ended && err == nil {
		err = fmt.Errorf("the replica at %s has ended its answer", r.address)
	}
	return err
}

// colors reports whether what is printed may have colors: https://no-color.org
func (c command) colors() bool {
	for _, v := range c.env {
		if name, value, _ := strings.Cut(v, "="); name == "NO_COLOR" && value != "" || v == "TERM=dumb" {
			return false
		}
	}
	return isTerminal(c.stdout)
}

// windowOf returns the size of a terminal, 0 where it is not known.
func windowOf(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		width, height, _ = term.GetSize(int(f.Fd()))
	}
	return width, height
}
