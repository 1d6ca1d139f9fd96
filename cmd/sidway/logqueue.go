package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	logQueueLines = 4096
	// logCloseTime is how long close waits for a reader of the log that has stopped.
	logCloseTime = time.Second
)

// logQueue writes lines on a goroutine of its own, so that nobody who logs ever waits: where the reader of the log has
// stopped, the sessions must not. Lines that find the queue full are lost, and how many is told later; so are those that come after
// close. Write may be called concurrently.
type logQueue struct {
	out    *bufio.Writer
	log    *slog.Logger // past the queue
	lines  chan []byte
	lost   atomic.Int64
	ending chan struct{}
	ended  chan struct{}
}

// newLogQueue returns a queue that writes to w, and tells of lost lines by the handler that handler makes.
func newLogQueue(w io.Writer, handler func(io.Writer) slog.Handler) *logQueue {
	q := &logQueue{
		out: bufio.NewWriterSize(w, 32<<10), log: slog.New(handler(w)),
		lines: make(chan []byte, logQueueLines), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	go q.run(w)
	return q
}

// Write implements io.Writer.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- bytes.Clone(line):
	default:
		q.lost.Add(1)
	}
	return len(line), nil
}

func (q *logQueue) run(w io.Writer) {
	defer close(q.ended)
	for {
		select {
		case line := <-q.lines:
			q.out.Write(line)
		case <-q.ending:
			if len(q.lines) == 0 {
				return
			}
			continue
		}
		if len(q.lines) > 0 {
			continue
		}
		if q.out.Flush() != nil {
			q.out.Reset(w) // the lines are gone; those that follow may find the reader again
		}
		if n := q.lost.Swap(0); n > 0 {
			q.log.Warn("lines of the log are lost: it is not read as fast as it is written", "lines", n)
		}
	}
}

// close writes what is queued and returns, at the latest after logCloseTime.
func (q *logQueue) close() {
	close(q.ending)
	t := time.NewTimer(logCloseTime)
	defer t.Stop()
	select {
	case <-q.ended:
	case <-t.C:
	}
}
