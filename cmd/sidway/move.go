package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sidway/sidway/gateway/api"
)

// moveTime bounds a move: a session that polls is watched by all replicas before it goes.
const moveTime = time.Minute

// moveWords say what became of a move where the session did not go on elsewhere as if nothing had been.
var moveWords = map[string]string{
	"renewed":     "is on %s now, which did not know it: its client gets connect again, without a disconnect",
	"busy":        "stays on %s: an acknowledgement, a message or an upgrade was under way all the time, or no poll of it came",
	"refused":     "stays on %s: no other node took it",
	"no_barrier":  "stays on %s, which did not answer in time",
	"no_redis":    "stays on %s: the Redis of sessions.redis did not answer, or refused the question: see the replica's log",
	"no_recovery": "stays on %s, which does not restore sessions: is connectionStateRecovery on, with an adapter that keeps them?",
	"lost":        "has ended on %s: its client comes back by itself",
	"left":        "has ended on %s meanwhile",
}

// move moves a session to another node.
func (c command) move(ctx context.Context, args []string) error {
	var s settings
	var to string
	fs := flag.NewFlagSet("move", flag.ContinueOnError)
	s.addRemote(fs)
	fs.StringVar(&to, "to", "", "n3")
	words, args := wordsOf(fs, args, 1)
	sid := strings.Join(words, "")
	if wantsHelp, err := parse(fs, args); err != nil || wantsHelp {
		return c.helpOr(err, "move")
	}
	if sid == "" {
		return &usageError{text: "say which session, as sidway move lv_VI97HAXpY6yYWAAAC --to n3", help: "move"}
	}
	r, err := c.remote(s, true)
	if err != nil {
		return err
	}
	r.within = moveTime
	var m api.Move
	if err := r.ask(ctx, http.MethodPost, "/api/sessions/"+url.PathEscape(sid)+"/move", api.MoveSettings{To: to}, &m); err != nil {
		return err
	}
	if m.Outcome == "moved" {
		fmt.Fprintf(c.stdout, "moved from %s to %s\n", m.From, m.Node)
		return nil
	}
	return fmt.Errorf("the session "+moveWords[m.Outcome], m.Node)
}
