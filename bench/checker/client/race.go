//go:build linux

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidway/sidway/bench/checker/history"
)

// An Aim is a race of POSTs against the end of idle connections: each session sends one POST, waits until the connection to the node
// that carried it is about to be closed, and sends another one, its shot.
type Aim struct {
	Front    string
	Dir      string // for the history
	Seed     uint64
	Sessions int           // that shoot at the same time
	Shots    int           // of all sessions together; those of the last round may exceed it
	After    time.Duration // from an answer until the next shot, on average
	Window   time.Duration // in which the shots lie, evenly, half of it before After
	Fire     func()        // called before the shots of each round, if it is there
}

// Shots are what became of them.
type Shots struct {
	Made, Failed int
	Loading      int            // POSTs that failed and were no shots
	Answers      map[string]int // what the shots that failed got
}

// Race does what the aim says. A session that was shot dead is replaced by a new one.
func Race(ctx context.Context, a Aim) (Shots, error) {
	log, err := history.Create(filepath.Join(a.Dir, "client-race.jsonl"))
	if err != nil {
		return Shots{}, err
	}
	s := Shots{Answers: map[string]int{}}
	racers := make([]*racer, a.Sessions)
	for i := range racers {
		racers[i] = &racer{a: a, name: fmt.Sprint("racer-", i), log: log, rng: rand.New(rand.NewPCG(a.Seed, uint64(i)))}
	}
	for s.Made < a.Shots && err == nil {
		err = round(ctx, racers, &s)
	}
	var ending sync.WaitGroup
	for _, r := range racers {
		ending.Go(func() { r.leave(history.Stopped) })
	}
	ending.Wait()
	return s, errors.Join(err, log.Close())
}

// round has every session load, and then shoot.
func round(ctx context.Context, racers []*racer, s *Shots) error {
	var all sync.WaitGroup
	failures := make([]error, len(racers))
	for i, r := range racers {
		all.Go(func() { failures[i] = r.begin(ctx) })
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("client: a race: %w", err)
	}
	for i, r := range racers {
		all.Go(func() { failures[i] = r.post() })
	}
	all.Wait()
	fire := time.Now()
	if f := racers[0].a.Fire; f != nil {
		f()
	}
	racers = slices.DeleteFunc(slices.Clone(racers), func(r *racer) bool {
		i := slices.Index(racers, r)
		if failures[i] != nil {
			s.Loading++
			r.leave("while loading: " + failures[i].Error())
		}
		return failures[i] != nil
	})
	if len(racers) == 0 {
		return errors.New("client: a race: not one POST was answered before the first shot")
	}
	failures = failures[:len(racers)]
	for i, r := range racers {
		offset := time.Duration(r.rng.Int64N(int64(r.a.Window))) - r.a.Window/2
		all.Go(func() {
			time.Sleep(time.Until(fire.Add(r.a.After + offset)))
			failures[i] = r.post()
		})
	}
	all.Wait()
	// Connections that nobody used are closed by then, so that the next load races with nothing.
	time.Sleep(10 * racers[0].a.Window)
	for i, err := range failures {
		s.Made++
		if err != nil {
			s.Failed++
			s.Answers[err.Error()]++
			racers[i].leave("shot: " + err.Error())
		}
	}
	return ctx.Err()
}

// racer has one session after the other, by polling.
type racer struct {
	a    Aim
	name string
	log  *history.Writer
	rng  *rand.Rand

	links *links // nil while there is no session
	k     *link  // for POSTs
	sid   string
	next  int
	polls sync.WaitGroup
}

func (r *racer) write(e history.Event) {
	e.Tap, e.By, e.SID = history.Client, r.name, r.sid
	r.log.Write(e)
}

// begin makes a session where there is none.
func (r *racer) begin(ctx context.Context) error {
	if r.links != nil {
		return nil
	}
	r.links = newLinks(func(int) []string { return []string{r.a.Front} }, 0)
	k, err := r.links.take(ctx, true)
	if err != nil {
		return err
	}
	a, err := k.exchange(request{method: http.MethodGet, target: "/socket.io/?EIO=4&transport=polling"})
	if err != nil {
		return err
	}
	s := &session{}
	if err := s.opened(a.body); err != nil {
		return err
	}
	r.sid, r.next = s.sid, 0
	r.write(history.Event{Kind: history.Open, Why: polling})
	if r.k, err = r.links.take(ctx, true); err != nil {
		return err
	}
	if err := r.send("40"); err != nil {
		return err
	}
	r.write(history.Event{Kind: history.Connected})
	r.polls.Go(func() { r.poll(k) })
	return nil
}

func (r *racer) target() string { return "/socket.io/?EIO=4&transport=polling&sid=" + r.sid }

// poll keeps a poll waiting, as a session needs. Nothing but pings is to be said to it, and those are not answered: a race is over
// before the node misses that.
func (r *racer) poll(k *link) {
	for {
		a, err := k.exchange(request{method: http.MethodGet, target: r.target()})
		if err != nil || a.status != http.StatusOK || strings.HasPrefix(a.body, "1") {
			return
		}
	}
}

// post sends the next message, without asking for an acknowledgement: the answer to the POST is what says that it has arrived.
func (r *racer) post() error {
	seq := r.next
	r.next++
	r.write(history.Event{Kind: history.Send, Dir: history.Up, Seq: seq})
	text := payload(r.sid, seq, 40)
	fields, err := json.Marshal([]any{"up", heading{r.sid, seq, digest(r.sid, history.Up, seq, text)}, text})
	if err != nil {
		return err
	}
	if err := r.send("42" + string(fields)); err != nil {
		return err
	}
	r.write(history.Event{Kind: history.Ack, Dir: history.Up, Seq: seq})
	return nil
}

// answerTime is after what a POST has failed: more than any gateway holds one.
const answerTime = 15 * time.Second

func (r *racer) send(packet string) error {
	if err := r.k.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	a, err := r.k.exchange(request{method: http.MethodPost, target: r.target(), body: packet})
	switch {
	case err != nil:
		return errors.New("no answer")
	case a.status != http.StatusOK || a.body != "ok":
		return errors.New(strconv.Itoa(a.status))
	}
	return nil
}

// leave ends the session.
func (r *racer) leave(why string) {
	if r.links == nil {
		return
	}
	if why == history.Stopped {
		r.write(history.Event{Kind: history.Settled})
	}
	r.write(history.Event{Kind: history.End, Why: why})
	r.links.close()
	r.polls.Wait()
	r.links = nil
}
