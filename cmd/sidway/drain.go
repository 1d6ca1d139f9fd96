package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sidway/sidway/gateway/api"
)

// drain has a node get no new sessions, and undrain get them again.
func (c command) drain(ctx context.Context, args []string) error {
	return c.drainOr(ctx, "drain", args)
}

func (c command) undrain(ctx context.Context, args []string) error {
	return c.drainOr(ctx, "undrain", args)
}

func (c command) drainOr(ctx context.Context, name string, args []string) error {
	var s settings
	var cluster, deadline string
	var wait bool
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	s.addRemote(fs)
	fs.StringVar(&cluster, "cluster", "", "chat")
	if name == "drain" {
		fs.StringVar(&deadline, "deadline", "", "5m")
		fs.BoolVar(&wait, "wait", false, "")
	}
	words, args := wordsOf(fs, args, 1)
	node := strings.Join(words, "")
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, name)
	}
	if node == "" {
		return &usageError{text: "say which node, as sidway " + name + " n2", help: name}
	}
	if deadline != "" {
		if d, err := time.ParseDuration(deadline); err != nil || d < 0 {
			return &usageError{text: fmt.Sprintf("--deadline %s is no time; write 30s, 5m or 1h", deadline), help: name}
		}
	}
	r, err := c.remote(s, true)
	if err != nil {
		return err
	}
	if cluster == "" {
		if cluster, err = r.clusterOf(ctx, node); err != nil {
			return err
		}
	}
	path := "/api/clusters/" + url.PathEscape(cluster) + "/nodes/" + url.PathEscape(node)
	var n api.Node
	if name == "undrain" {
		if err := r.ask(ctx, http.MethodDelete, path+"/drain", nil, &n); err != nil {
			return err
		}
		if n.Draining {
			return fmt.Errorf("%s of %s asks for its drain itself, so it gets no new sessions: see what its health page answers", node, cluster)
		}
		fmt.Fprintf(c.stdout, "%s of %s gets new sessions again\n", node, cluster)
		return nil
	}
	if deadline == "" { // who only wants to watch a drain does not take its deadline away
		_ = r.ask(ctx, http.MethodGet, path, nil, &n) // what is wrong is told where it is asked for
	}
	if n.Drain != nil && n.Drain.Deadline != nil {
		fmt.Fprintf(c.stdout, "%s of %s is being drained already, and keeps its deadline: %s\n", node, cluster, n.Drain.Deadline.Local().Format(time.TimeOnly))
	} else if err := r.ask(ctx, http.MethodPost, path+"/drain", api.DrainSettings{Deadline: deadline}, &n); err != nil {
		return err
	} else {
		fmt.Fprintf(c.stdout, "%s of %s gets no new sessions; it has %d%s\n", node, cluster, n.Total, suspended(n.Drain))
	}
	if !wait {
		return nil
	}
	return c.watchDrain(ctx, r, path)
}

const (
	// drainLook is how often a drain is looked at.
	drainLook = 500 * time.Millisecond
	// drainPatience is how long the replica may be away meanwhile.
	drainPatience = 30 * time.Second
	// drainSilence is how long nothing has to be heard of the sessions that are left, where their end has come, until they are waited for no
	// longer: a client that lives asks again at once. One that comes back later is told that its session is over, by whoever it asks.
	drainSilence = 5 * time.Second
	barWidth     = 30
)

// watchDrain shows how the sessions of a node become fewer, until none is left.
func (c command) watchDrain(ctx context.Context, r *remote, path string) error {
	terminal := isTerminal(c.stdout)
	most, shown, heard, lively := 0, "", time.Now(), time.Now()
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for {
		var n api.Node
		switch err := r.ask(ctx, http.MethodGet, path, nil, &n); {
		case err != nil && time.Since(heard) > drainPatience:
			return err
		case err == nil:
			heard = time.Now()
			if !n.Draining {
				return fmt.Errorf("the drain of %s was taken back", n.Name)
			}
			most = max(most, n.Total)
			if line := progress(n, most); line != shown {
				shown = line
				if terminal {
					fmt.Fprint(c.stdout, "\r\x1b[K", line)
				} else {
					fmt.Fprintln(c.stdout, line)
				}
			}
			if !vanished(n) {
				lively = heard
			}
			gone := heard.Sub(lively) >= drainSilence
			if terminal && (gone || n.Total == 0) {
				fmt.Fprintln(c.stdout)
			}
			if n.Total > 0 && gone {
				fmt.Fprintf(c.stdout, "Sessions left on %s: %d, which no client has used for %v. Their clients are gone, or have begun other sessions, as after the restart of a replica. The node may be stopped.\n", n.Name, n.Total, drainSilence)
			}
			if n.Total == 0 || gone {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// vanished reports whether all sessions that are left would be ended if only their clients asked again.
func vanished(n api.Node) bool {
	d := n.Drain
	return d != nil && d.Rate > 0 && d.Silent >= n.Total && (d.Heard == nil || time.Since(*d.Heard) > drainSilence)
}

// progress is one line about a drain.
func progress(n api.Node, most int) string {
	done := barWidth
	if most > 0 {
		done = barWidth * (most - n.Total) / most
	}
	line := fmt.Sprintf("%s [%s%s] %d of %d sessions left", n.Name, strings.Repeat("#", done), strings.Repeat(".", barWidth-done), n.Total, most)
	switch d := n.Drain; {
	case n.Total == 0 || d == nil:
	case d.Silent >= n.Total:
		line += silence(d)
	case d.Rate > 0:
		line += fmt.Sprintf(", %.0f/s, done at %s", d.Rate, d.Done.Local().Format(time.TimeOnly))
	case d.Deadline != nil && d.Deadline.Before(time.Now()):
		line += ", no other node takes them"
	case d.Deadline != nil:
		line += ", ended from " + d.Deadline.Local().Format(time.TimeOnly) + " on"
	default:
		line += ", which end by themselves"
	}
	if n.Total > 0 {
		line += suspended(n.Drain)
	}
	return line
}

// suspended says that no session is moved for a while, "" where they are.
func suspended(d *api.Drain) string {
	if d == nil || d.MovesAgain == nil || !d.MovesAgain.After(time.Now()) {
		return ""
	}
	again, then := d.MovesAgain.Local().Format(time.TimeOnly), ""
	if d.Deadline != nil && d.Deadline.Before(*d.MovesAgain) {
		then = ", and the deadline ends them before that"
	}
	return fmt.Sprintf("; none is moved before %s, since five moves in a row went wrong (see sidway status)%s", again, then)
}

// silence says of a drain that it waits for sessions that poll. Times are told to ten seconds, so that not each second is a line.
func silence(d *api.Drain) string {
	heard := d.Since
	if d.Heard != nil {
		heard = *d.Heard
	}
	ago := max(0, time.Since(heard)).Truncate(10 * time.Second)
	line := fmt.Sprintf(": %d poll and have no request here now; ", d.Silent)
	if ago == 0 {
		return line + "one was heard here a moment ago"
	}
	return line + fmt.Sprintf("none was heard here for %v", ago)
}

// isTerminal reports whether somebody looks at w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
