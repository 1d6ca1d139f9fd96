package replica

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidway/sidway/affinity"
)

const (
	// kinTime is how long the other process may take to read what it is told, and to answer.
	kinTime = 5 * time.Second
	// chunk is about how many bytes of bindings are sent at once.
	chunk = 64 << 10
)

// The lines that a process and its successor tell each other. Bindings in memory go both ways as long as both live: clients may have
// kept connections to the older one. Whoever does not know a sid asks whether the other has told all, since a line comes later than a client.
const (
	saysBinding = "binding" // with the cluster's name, the sid and the binding
	saysChanges = "changes" // what operators have changed of a cluster, with its name and the fields
	asksAll     = "all?"
	saysAll     = "all."
	wantsAll    = "wants" // the successor is to be told all bindings
	saysTold    = "told"  // it was
	saysWaits   = "waits" // why the successor is not ready
	saysReady   = "ready" // the successor serves
	saysTaken   = "taken" // the older accepts no more
)

// kin are the predecessor and the successor of this process, as far as they live.
type kin struct {
	links atomic.Pointer[[]*link]
	mu    sync.Mutex // of whoever changes links
	work  sync.WaitGroup
}

// link is a connection to one of them.
type link struct {
	conn net.Conn
	said chan string   // all but bindings and questions
	gone chan struct{} // closed when nothing more comes

	mu    sync.Mutex // guards writes, and what follows
	asked []chan struct{}
}

// open makes a link, on which bindings are heard at once and told after add. heard is called for each line that is not the link's own.
func (k *kin) open(conn net.Conn, heard func(l *link, words []string)) *link {
	l := &link{conn: conn, said: make(chan string, 64), gone: make(chan struct{})}
	k.work.Go(func() {
		k.hear(l, heard)
		k.remove(l)
	})
	return l
}

func (k *kin) all() []*link {
	if all := k.links.Load(); all != nil {
		return *all
	}
	return nil
}

func (k *kin) add(l *link) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := append(slices.Clone(k.all()), l)
	k.links.Store(&all)
}

func (k *kin) remove(l *link) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(k.all()), func(o *link) bool { return o == l })
	k.links.Store(&all)
}

// close ends all links.
func (k *kin) close() {
	for _, l := range k.all() {
		l.conn.Close()
	}
	k.work.Wait()
}

// bind tells a binding to all but the one that it came from, if any.
func (k *kin) bind(from *link, cluster, sid string, b affinity.Binding) {
	all := k.all()
	if len(all) == 0 {
		return
	}
	text := bindingLine(cluster, sid, b)
	for _, l := range all {
		if l != from {
			l.send(text)
		}
	}
}

func bindingLine(cluster, sid string, b affinity.Binding) string {
	text, _ := b.MarshalText() // which cannot fail
	return saysBinding + " " + cluster + " " + url.QueryEscape(sid) + " " + string(text) + "\n"
}

// askAll returns when this process knows whatever the others knew when it was called, but for the one that wants to know it.
// ErrUnavailable says that one of them is late.
func (k *kin) askAll(ctx context.Context, asker *link) error {
	for _, l := range k.all() {
		if l != asker && !l.askAll(ctx) {
			return affinity.ErrUnavailable
		}
	}
	return nil
}

// send sends lines. A link whose other end does not read is given up.
func (l *link) send(lines string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(lines)
}

// write needs mu.
func (l *link) write(lines string) {
	l.conn.SetWriteDeadline(time.Now().Add(kinTime))
	if _, err := l.conn.Write([]byte(lines)); err != nil {
		l.conn.Close()
	}
}

func (l *link) askAll(ctx context.Context) bool {
	answered := make(chan struct{})
	l.mu.Lock()
	l.asked = append(l.asked, answered)
	l.write(asksAll + "\n")
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, kinTime)
	defer cancel()
	select {
	case <-answered:
	case <-l.gone:
	case <-ctx.Done():
		return false
	}
	return true
}

// hear reads lines until the other end is closed.
func (k *kin) hear(l *link, heard func(l *link, words []string)) {
	defer close(l.gone)
	defer l.conn.Close()
	lines := bufio.NewReader(l.conn)
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimSuffix(text, "\n")
		switch word, rest, _ := strings.Cut(text, " "); word {
		case saysBinding, saysChanges:
			if words := strings.SplitN(rest, " ", 3); len(words) >= 2 {
				heard(l, append([]string{word}, words...))
			}
		case asksAll:
			k.work.Go(func() {
				_ = k.askAll(context.Background(), l) // one that is late is left out
				l.send(saysAll + "\n")
			})
		case saysAll:
			l.mu.Lock()
			if len(l.asked) > 0 {
				close(l.asked[0])
				l.asked = l.asked[1:]
			}
			l.mu.Unlock()
		default:
			select {
			case l.said <- text:
			default: // nobody listens any more
			}
		}
	}
}

// sharedMemory is the store of a replica without Redis. What it binds is known to its kin before Bind returns, or is on its way there.
type sharedMemory struct {
	*affinity.Memory
	cluster string
	kin     *kin
}

// Bind implements affinity.Store.
func (s sharedMemory) Bind(ctx context.Context, sid string, b affinity.Binding) error {
	err := s.Memory.Bind(ctx, sid, b)
	if err == nil {
		s.kin.bind(nil, s.cluster, sid, b)
	}
	return err
}

// Lookup implements affinity.Store.
func (s sharedMemory) Lookup(ctx context.Context, sid string) (affinity.Binding, error) {
	b, err := s.Memory.Lookup(ctx, sid)
	if !errors.Is(err, affinity.ErrNotFound) || len(s.kin.all()) == 0 {
		return b, err
	}
	if err := s.kin.askAll(ctx, nil); err != nil {
		return affinity.Binding{}, err
	}
	return s.Memory.Lookup(ctx, sid)
}

// BindThen implements affinity.Store.
func (s sharedMemory) BindThen(sid string, b affinity.Binding, done func(error)) {
	if len(s.kin.all()) > 0 {
		go func() { done(s.Bind(context.Background(), sid, b)) }()
		return
	}
	done(s.Memory.Bind(context.Background(), sid, b))
}

// LookupThen implements affinity.Store.
func (s sharedMemory) LookupThen(sid string, done func(affinity.Binding, error)) {
	if len(s.kin.all()) > 0 {
		go func() { done(s.Lookup(context.Background(), sid)) }()
		return
	}
	done(s.Memory.Lookup(context.Background(), sid))
}

// Glance is Lookup without asking the kin.
func (s sharedMemory) Glance(ctx context.Context, sid string) (affinity.Binding, error) {
	return s.Memory.Lookup(ctx, sid)
}

// heardOfKin takes what a predecessor or a successor has told.
func (r *Replica) heardOfKin(l *link, words []string) {
	kind, cluster := words[0], words[1]
	p := named(r.parts(), cluster)
	if p == nil || len(words) < 4 && kind == saysBinding {
		return
	}
	if kind == saysChanges {
		if fields, err := url.QueryUnescape(words[2]); err == nil {
			r.board.SetFields(cluster, fields)
		}
		return
	}
	sid, err := url.QueryUnescape(words[2])
	var b affinity.Binding
	if p.store == nil && err == nil && b.UnmarshalText([]byte(words[3])) == nil && p.memory.Bind(context.Background(), sid, b) == nil {
		r.kin.bind(l, cluster, sid, b)
	}
}

// tellAll tells what only this process knows.
func (r *Replica) tellAll(l *link) {
	r.kin.add(l) // so that nothing comes between
	for _, p := range r.parts() {
		if p.store != nil {
			continue
		}
		if fields := r.board.Fields(p.cfg.Name); fields != "" {
			l.send(saysChanges + " " + p.cfg.Name + " " + url.QueryEscape(fields) + "\n")
		}
		var b strings.Builder
		for sid, binding := range p.memory.All() {
			if b.WriteString(bindingLine(p.cfg.Name, sid, binding)); b.Len() > chunk {
				l.send(b.String())
				b.Reset()
			}
		}
		l.send(b.String())
	}
	l.send(saysTold + "\n")
}
