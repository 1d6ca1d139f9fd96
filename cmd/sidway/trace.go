package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/api"
)

// trace shows where a session lives and its last requests, or says why it lives no more.
func (c command) trace(ctx context.Context, args []string) error {
	var s settings
	var asJSON, packets bool
	fs := flag.NewFlagSet("trace", flag.ContinueOnError)
	s.addRemote(fs)
	fs.BoolVar(&asJSON, "json", false, "")
	fs.BoolVar(&packets, "packets", false, "")
	words, args := wordsOf(fs, args, 1)
	sid := strings.Join(words, "")
	if sid == "" && len(args) > 0 && sidWithDash(fs, args[0]) {
		sid, args = args[0], args[1:]
	}
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "trace")
	}
	if sid == "" {
		return &usageError{text: "say which session, as sidway trace lv_VI97HAXpY6yYWAAAC", help: "trace"}
	}
	r, err := c.remote(s, false)
	if err != nil {
		return err
	}
	if packets {
		return c.packets(ctx, r, sid, asJSON)
	}
	var t api.Trace
	text, err := r.read(ctx, http.MethodGet, "/api/sessions/"+url.PathEscape(sid)+"/trace", nil, &t)
	if err != nil {
		return err
	}
	out := string(text) + "\n"
	if !asJSON {
		out = page{color: c.colors()}.trace(sid, &t)
	}
	fmt.Fprint(c.stdout, out)
	if !t.Live {
		return errors.New("no session is live by that sid: " + t.Why)
	}
	return nil
}

// sidWithDash reports whether an argument that begins with a dash is no flag.
func sidWithDash(fs *flag.FlagSet, arg string) bool {
	return len(arg) > len("-help") && arg[0] == '-' && !strings.HasPrefix(arg, "--") && !strings.Contains(arg, "=") && !isFlag(fs, arg)
}

// trace writes what is known of a session.
func (p page) trace(sid string, t *api.Trace) string {
	var b strings.Builder
	fact := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", name, text)
		}
	}
	state, color := "live", green
	if !t.Live {
		state, color = "not live", red
	}
	fmt.Fprintf(&b, "%s  %s\n", p.paint(bold, sid), p.paint(color, state))
	if t.Node != "" {
		fact("cluster", t.Cluster)
		fact("node", t.Node+", "+t.NodeState)
		fact("since", cmp.Or(moment(t.Since), "unknown: no replica remembers when it was made"))
	}
	if transport := t.Transport; t.Tunnel != "" {
		fact("transport", transport+" at "+t.Tunnel+", since "+cmp.Or(moment(t.TunnelSince), "unknown"))
	} else {
		fact("transport", transport)
	}
	fact("why", t.Why)
	fact("note", t.Note)
	if t.Replicas > 1 {
		fact("replicas", fmt.Sprintf("%d of %d answered", t.Answered, t.Replicas))
	}
	if len(t.Requests) == 0 {
		return b.String()
	}
	rows := table{{{text: "ENDED"}, {text: "REPLICA"}, {text: "KIND"}, {text: "STATUS"}, {text: "TOOK"}, {text: "CAUSE"}}}
	for _, q := range t.Requests {
		status, color := "-", plain
		if q.Status > 0 {
			status = fmt.Sprint(q.Status)
		}
		if q.Status >= http.StatusBadRequest {
			color = red
		}
		took := time.Duration(q.Took * float64(time.Second)).Round(time.Millisecond)
		rows = append(rows, []cell{
			{text: q.At.Local().Format("15:04:05.000")},
			{text: q.Replica},
			{text: q.Kind},
			{text: status, color: color, right: true},
			{text: took.String(), right: true},
			{text: cmp.Or(q.Cause, "-")},
		})
	}
	return b.String() + "\n" + p.table(rows)
}

// moment writes when something was and how long ago, nothing of the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime) + ", " + age(time.Since(t)) + " ago"
}
