package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/sidway/sidway/gateway/sock"
)

// Handed is what a process has got from its predecessor, beside the sockets that the service manager once opened.
type Handed struct {
	listen map[string]net.Listener // by the addresses of listen
	admin  map[string]net.Listener // by admin.listen
	kin    net.Conn
	link   *link // over kin, from awaitTurn on
}

// The names of files that are handed over: a kind, and an address that may have any characters.
const (
	nameListen = "listen="
	nameAdmin  = "admin="
	nameGiven  = "admin" // as the service manager calls it
	nameKin    = "kin"
)

// Inherit returns the sockets that HandOver gave to this process, by the names of their files. It closes the files.
func Inherit(files []*os.File) (s Sockets, err error) {
	s.Listen = map[string][]net.Listener{}
	s.Handed = &Handed{listen: map[string]net.Listener{}, admin: map[string]net.Listener{}}
	for _, f := range files {
		err = errors.Join(err, s.inherit(f))
		f.Close()
	}
	if s.Handed.kin == nil {
		err = errors.Join(err, errors.New("the predecessor has handed over no connection to itself"))
	}
	return s, err
}

func (s *Sockets) inherit(f *os.File) (err error) {
	name, err := url.QueryUnescape(f.Name())
	if err != nil {
		return err
	}
	if name == nameKin {
		s.Handed.kin, err = net.FileConn(f)
		return err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("the socket %s of the predecessor: %w", name, err)
	}
	address, isClients := strings.CutPrefix(name, nameListen)
	given, isGiven := strings.CutPrefix(address, "fd:")
	switch {
	case name == nameGiven:
		s.Admin = l
	case isClients && isGiven:
		s.Listen[given] = append(s.Listen[given], l)
	case isClients:
		s.Handed.listen[address] = l
	default:
		s.Handed.admin[strings.TrimPrefix(name, nameAdmin)] = l
	}
	return nil
}

// take gives l the socket of its address, if there is one. A Unix socket whose file is gone or another's would be reached by nobody.
func (h *Handed) take(l *listener) bool {
	if h == nil || h.listen[l.Address] == nil {
		return false
	}
	if path, isPath := l.Path(); isPath {
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != os.ModeSocket {
			return false
		}
		l.file = &socketFile{path, info}
	}
	l.socket = h.listen[l.Address]
	delete(h.listen, l.Address)
	return true
}

func (h *Handed) takeAdmin(address string) (l net.Listener) {
	if h != nil {
		l = h.admin[address]
		delete(h.admin, address)
	}
	return l
}

// lives reports whether the predecessor is still there. It hears of the youngest's bindings by this process.
func (h *Handed) lives() bool {
	if h == nil {
		return false
	}
	select {
	case <-h.link.gone:
		return false
	default:
		return true
	}
}

// closeRest closes what nobody wants. Files of Unix sockets go too, but only once the predecessor has no use for them.
func (h *Handed) closeRest() {
	for address, l := range h.listen {
		if path, isPath := strings.CutPrefix(address, "unix:"); isPath {
			_ = os.Remove(path)
		}
		l.Close()
	}
	for _, l := range h.admin {
		l.Close()
	}
}

// files returns files of all listening sockets, by the names that Inherit knows. They are to be closed.
func (r *Replica) files() (all []*os.File, err error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	for _, l := range r.listeners {
		if !l.served {
			return all, errors.New("it does not serve yet")
		}
		f, err := r.gateway.File(l.socket, url.QueryEscape(nameListen+l.Address))
		if err != nil {
			return all, fmt.Errorf("listen: %s: %w", l.Address, err)
		}
		all = append(all, f)
	}
	if r.adminAt == nil {
		return all, nil
	}
	name := nameGiven
	if !r.adminGiven {
		name = url.QueryEscape(nameAdmin + r.adminListen)
	}
	c, ok := r.adminAt.(syscall.Conn)
	if !ok {
		return all, errors.New("admin.listen: it is no socket")
	}
	f, err := sock.File(c, name)
	if err == nil {
		all = append(all, f)
	}
	return all, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// HandOver has start start a process that inherits files by their names, and waits until it serves. Then this one accepts nothing any
// more, and Run's context is to be cancelled. An error says that the successor has failed within ctx, that it is no more, and that
// nothing has changed here.
func (r *Replica) HandOver(ctx context.Context, start func([]*os.File) (*exec.Cmd, error)) error {
	r.log.Info("starting a successor")
	err := r.handOver(ctx, start)
	if err != nil {
		r.handovers.WithLabelValues("failed").Inc()
		r.log.Error("no successor has taken over, this process goes on as before", "error", err)
	}
	return err
}

func (r *Replica) handOver(ctx context.Context, start func([]*os.File) (*exec.Cmd, error)) error {
	files, err := r.files()
	defer func() { closeAll(files) }()
	if err != nil {
		return err
	}
	pair, err := sock.Pair()
	if err != nil {
		return err
	}
	ours := os.NewFile(uintptr(pair[0]), nameKin)
	files = append(files, os.NewFile(uintptr(pair[1]), nameKin))
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return err
	}
	successor, err := start(files)
	if err != nil {
		conn.Close()
		return err
	}
	closeAll(files) // the successor's end of the link, so that its end is seen
	l := r.kin.open(conn, r.heardOfKin)
	if err := r.awaitReady(ctx, l); err != nil {
		_ = successor.Process.Kill()
		conn.Close()
		r.kin.remove(l)
		if _ = successor.Wait(); errors.Is(err, errEnded) {
			err = fmt.Errorf("%w: %v", err, successor.ProcessState)
		}
		<-l.gone
		return err
	}
	r.yield(l, successor.Process.Pid)
	return nil
}

// errEnded says that the successor is no more.
var errEnded = errors.New("the successor has ended, and its own log says why")

// ErrNotReady, as the cause of the end of HandOver's context, says that the successor has had its time.
var ErrNotReady = errors.New("the successor was not ready in time")

// awaitReady answers the successor until it serves.
func (r *Replica) awaitReady(ctx context.Context, l *link) error {
	why := ""
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w%s", context.Cause(ctx), why)
		case <-l.gone:
			return errEnded
		case text := <-l.said:
			switch word, rest, _ := strings.Cut(text, " "); word {
			case wantsAll:
				r.tellAll(l)
			case saysWaits:
				why = ": " + rest
			case saysReady:
				return nil
			}
		}
	}
}

// yield lets the successor have what both cannot.
func (r *Replica) yield(l *link, pid int) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	r.succeeded.Store(true)
	r.stopping.Store(true)
	r.disown()
	r.log.Info("the successor serves; this process keeps its WebSockets until they end, or until shutdown.deadline", "successor", pid,
		"tunnels", r.tunnels.Len(), "deadline", r.cfg.Load().Shutdown.Deadline)
	r.tell("MAINPID=%d", pid)
	l.send(saysTaken + "\n")
}

// disown leaves files of Unix sockets to the other process, which serves by them.
func (r *Replica) disown() {
	for _, l := range r.listeners {
		l.file = nil
	}
}

// awaitTurn waits, where there is a predecessor, until this process knows what that knows and is ready. Nothing is accepted before, so
// that one that never gets there harms nobody.
func (r *Replica) awaitTurn(ctx context.Context) (err error) {
	if r.handed == nil {
		return nil
	}
	defer func() {
		if err != nil {
			r.disown()
		}
	}()
	l := r.kin.open(r.handed.kin, r.heardOfKin)
	r.handed.link = l
	r.kin.add(l)
	l.send(wantsAll + "\n")
	tick := time.NewTicker(readyTick)
	defer tick.Stop()
	told, last := false, ""
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.gone:
			return errors.New("the predecessor has given this successor up")
		case text := <-l.said:
			told = told || text == saysTold
			continue
		case <-tick.C:
		}
		err := r.ready()
		if told && err == nil {
			return nil
		}
		if err != nil && err.Error() != last {
			last = err.Error()
			l.send(saysWaits + " " + strings.ReplaceAll(last, "\n", "; ") + "\n")
		}
	}
}

// readyTick is how often a successor looks whether it is ready.
const readyTick = 20 * time.Millisecond

// takeOver tells the predecessor, if there is one, that this process serves, and waits until that accepts nothing any more.
func (r *Replica) takeOver() {
	if r.handed == nil {
		return
	}
	l := r.handed.link
	l.send(saysReady + "\n")
	for taken := false; !taken; {
		select {
		case text := <-l.said:
			taken = text == saysTaken
		case <-l.gone: // whatever has ended the predecessor, this process is what is left
			taken = true
		}
	}
	for _, l := range r.listeners {
		l.file.setMode(l.Mode)
	}
	r.handed.closeRest()
	r.handovers.WithLabelValues("done").Inc()
}

// adminPatience is how long the admin address's requests may take to end after a successor has taken over.
const adminPatience = 2 * time.Second

// retire ends what a successor has taken over from: nothing is accepted any more, and tunnels go on until the last quarter of
// shutdown.deadline, in which they end in waves.
func (r *Replica) retire() {
	began := time.Now()
	s := r.cfg.Load().Shutdown
	deadline, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	r.gateway.Stop()
	if r.admin != nil {
		r.retireAdmin(deadline)
	}
	waves := s.Deadline / 4
	defer r.releasePolls(deadline, s.Waves, waves)()
	early, cancelEarly := context.WithTimeout(deadline, s.Deadline-waves)
	defer cancelEarly()
	r.gateway.Drain(early)
	tick := time.NewTicker(tunnelsTick)
	defer tick.Stop()
	for (r.tunnels.Len() > 0 || r.handed.lives()) && early.Err() == nil {
		select {
		case <-tick.C:
		case <-early.Done():
		}
	}
	if err := r.tunnels.Shutdown(deadline, s.Waves, waves); err != nil {
		r.log.Warn("tunnels were cut at the deadline", "error", err)
	}
	r.gateway.Drain(deadline)
	r.log.Info("stopped, a successor serves", "took", time.Since(began))
}

// retireAdmin answers what has come to the admin address. http.Server.Shutdown alone would drop a request that it reads after it has begun.
func (r *Replica) retireAdmin(ctx context.Context) {
	r.adminAt.Close()
	<-r.adminServed
	r.admin.SetKeepAlivesEnabled(false)
	soon, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	tick := time.NewTicker(readyTick)
	defer tick.Stop()
	for r.adminLimit.Open() > 0 && soon.Err() == nil {
		select {
		case <-tick.C:
		case <-soon.Done():
		}
	}
	r.admin.Close() // of streams
}

// tunnelsTick is how often a process with a successor looks whether it has tunnels left.
const tunnelsTick = 50 * time.Millisecond
