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
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidway/sidway/bench/checker/history"
)

// An Aim is a race of POSTs against the end of idle connections: each session sends one POST, waits until the connection to the node
// that carried it is about to be closed, and sends another one, its shot. The gateway should know as many nodes as there are
// sessions, so that it has one idle connection to each, and the shot gets the one that is aimed at.
type Aim struct {
	Front    string
	Dir      string // for the history
	Seed     uint64
	Sessions int
	Shots    int           // of all sessions together
	After    time.Duration // from an answer until the next shot, on average
	Window   time.Duration // in which the shots lie, evenly, half of it before After
	Fire     func()        // called before each shot, if it is there
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
	var (
		mu  sync.Mutex
		all = Shots{Answers: map[string]int{}}
	)
	group, ctx := errgroup.WithContext(ctx)
	for i := range a.Sessions {
		r := &racer{a: a, name: fmt.Sprint("racer-", i), log: log, rng: rand.New(rand.NewPCG(a.Seed, uint64(i)))}
		group.Go(func() error {
			s, err := r.run(ctx, (a.Shots+i)/a.Sessions)
			mu.Lock()
			defer mu.Unlock()
			all.add(s)
			return err
		})
	}
	err = group.Wait()
	return all, errors.Join(err, log.Close())
}

func (s *Shots) add(more Shots) {
	s.Made += more.Made
	s.Failed += more.Failed
	s.Loading += more.Loading
	for answer, n := range more.Answers {
		s.Answers[answer] += n
	}
}

// run makes so many shots.
func (r *racer) run(ctx context.Context, shots int) (Shots, error) {
	s := Shots{Answers: map[string]int{}}
	defer r.leave(history.Stopped)
	for s.Made < shots {
		// Connections that nobody used are closed by then, so that the load races with nothing; and sessions are not in step.
		time.Sleep(5*r.a.Window + time.Duration(r.rng.Int64N(int64(20*r.a.Window))))
		if err := r.load(ctx); err != nil {
			if s.Loading++; s.Loading > shots || ctx.Err() != nil { // the gateway has given the node up
				return s, ctx.Err()
			}
			continue
		}
		time.Sleep(r.a.After - r.a.Window/2 + time.Duration(r.rng.Int64N(int64(r.a.Window))))
		if r.a.Fire != nil {
			r.a.Fire()
		}
		s.Made++
		if err := r.post(); err != nil {
			s.Failed++
			s.Answers[err.Error()]++
			r.leave("shot: " + err.Error())
		}
		if err := ctx.Err(); err != nil {
			return s, err
		}
	}
	return s, nil
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

// load sends the POST before a shot, in a new session where there is none.
func (r *racer) load(ctx context.Context) error {
	err := r.begin(ctx)
	if err == nil {
		err = r.post()
	}
	if err != nil {
		r.leave("while loading: " + err.Error())
	}
	return err
}

// begin makes a session where there is none.
func (r *racer) begin(ctx context.Context) error {
	if r.links != nil {
		return nil
	}
	r.sid, r.next = "", 0
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
	r.sid = s.sid
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
	if r.sid != "" {
		if why == history.Stopped {
			r.write(history.Event{Kind: history.Settled})
		}
		r.write(history.Event{Kind: history.End, Why: why})
	}
	r.links.close()
	r.polls.Wait()
	r.links = nil
}
