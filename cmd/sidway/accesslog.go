package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sidway/sidway/gateway/config"
)

// lossOver is how long no line of the access log must have been lost before the log tells that this is over.
const lossOver = 10 * time.Second

// accessLog is where the lines about requests go: to the log, or by a queue of their own to standard output or a file.
type accessLog struct {
	*logSwitch
	log    *slog.Logger
	stdout io.Writer

	mu    sync.Mutex
	queue *logQueue // nil until it is needed
	name  string    // of what it writes to
}

func newAccessLog(log *slog.Logger, stdout io.Writer) *accessLog {
	return &accessLog{logSwitch: newLogSwitch(log.Handler()), log: log, stdout: stdout}
}

// follow has the lines go where l wants them. Where that cannot be opened they go on to where they went before.
func (a *accessLog) follow(l config.Log) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.Access == "" {
		a.set(a.log.Handler())
		return nil
	}
	if a.queue == nil || a.name != l.Access {
		if err := a.open(l.Access); err != nil {
			return err
		}
	}
	switch l.AccessFormat {
	case "combined":
		a.set(combinedHandler{a.queue})
	case "json":
		a.set(slog.NewJSONHandler(a.queue, nil))
	default:
		a.set(slog.NewTextHandler(a.queue, nil))
	}
	return nil
}

// reopen opens the file anew by its name, which is another file if somebody has moved the old one away. No line is lost: each is
// written to one or the other.
func (a *accessLog) reopen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue == nil || a.name == config.Stdout {
		return
	}
	if err := a.open(a.name); err != nil {
		a.log.Error("the access log cannot be opened again, its lines go where they went before", "error", err)
		return
	}
	a.log.Info("access log opened again", "file", a.name)
}

// open needs mu.
func (a *accessLog) open(name string) error {
	out := a.stdout
	if name != config.Stdout {
		f, err := openLog(name)
		if err != nil {
			return err
		}
		out = f
	}
	if a.name = name; a.queue == nil {
		a.queue = newLogQueue(out, a.tell())
	} else {
		a.queue.use(out)
	}
	return nil
}

// tell returns what has the log tell of lost lines when the first are lost, and how many there were when that is over.
func (a *accessLog) tell() func(int64, error) ([]byte, bool) {
	var before int64
	var last time.Time
	return func(lost int64, failed error) ([]byte, bool) {
		switch {
		case before == 0 && failed != nil:
			a.log.Warn("lines of the access log are lost: they cannot be written", "error", failed)
		case before == 0:
			a.log.Warn("lines of the access log are lost: they cannot be written as fast as they come")
		case lost == before && time.Since(last) >= lossOver:
			a.log.Info("the access log loses no lines any more", "lines", lost)
			before = 0
			return nil, true
		}
		if lost != before {
			before, last = lost, time.Now()
		}
		return nil, false
	}
}

// lost returns how many lines could not be written.
func (a *accessLog) lost() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue == nil {
		return 0
	}
	return a.queue.sum.Load()
}

// close writes what is queued.
func (a *accessLog) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queue != nil {
		a.queue.close()
	}
}

func openLog(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w", err)
	}
	return f, nil
}

// mayOpen says why the file that l names cannot be written, if so.
func mayOpen(l config.Log) error {
	if l.Access == "" || l.Access == config.Stdout {
		return nil
	}
	f, err := openLog(l.Access)
	if err != nil {
		return err
	}
	return f.Close()
}

// closeFile closes w if it is a file that was opened here.
func closeFile(w io.Writer) {
	if f, ok := w.(*os.File); ok && f != os.Stdout && f != os.Stderr {
		f.Close()
	}
}
