package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// A queue that has one or the other takes no more.
const (
	logQueueLines = 4096
	logQueueBytes = 4 << 20
)

// logCloseTime is how long close waits for a reader of the log that has stopped.
const logCloseTime = time.Second

// logQueue writes lines on a goroutine of its own, so that nobody who logs ever waits: where the reader of the log has
// stopped, the sessions must not. Lines that find the queue full are lost, and how many is told later; those that come
// after close are lost too. Write may be called concurrently.
type logQueue struct {
	w      io.Writer
	out    *bufio.Writer // before w
	log    *slog.Logger  // on out
	lines  chan []byte
	bytes  atomic.Int64 // in lines
	lost   atomic.Int64
	ending chan struct{}
	ended  chan struct{}
}

// newLogQueue returns a queue that writes to w, and tells of lost lines by the handler that handler makes.
func newLogQueue(w io.Writer, handler func(io.Writer) slog.Handler) *logQueue {
	out := bufio.NewWriterSize(w, 32<<10)
	q := &logQueue{
		w: w, out: out, log: slog.New(handler(out)),
		lines: make(chan []byte, logQueueLines), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	go q.run()
	return q
}

// Write implements io.Writer.
func (q *logQueue) Write(line []byte) (int, error) {
	if q.bytes.Add(int64(len(line))) <= logQueueBytes {
		select {
		case q.lines <- bytes.Clone(line):
			return len(line), nil
		default:
		}
	}
	q.bytes.Add(-int64(len(line)))
	q.lost.Add(1)
	return len(line), nil
}

func (q *logQueue) run() {
	defer close(q.ended)
	for {
		select {
		case line := <-q.lines:
			q.write(line)
		case <-q.ending:
			if len(q.lines) == 0 {
				return
			}
			continue
		}
		if len(q.lines) > 0 {
			continue
		}
		q.flush()
	}
}

func (q *logQueue) write(line []byte) {
	q.bytes.Add(-int64(len(line)))
	_, err := q.out.Write(line)
	q.failed(err)
}

// flush writes what is collected, and before that how many lines are lost, until that could be written.
func (q *logQueue) flush() {
	n := q.lost.Load()
	if n > 0 {
		q.log.Warn("lines of the log are lost: it is not read as fast as it is written", "lines", n)
	}
	err := q.out.Flush()
	if q.failed(err); err == nil {
		q.lost.Add(-n)
	}
}

// failed counts what a failure of the reader has cost as one line, and lets those that follow find it well again.
func (q *logQueue) failed(err error) {
	if err != nil {
		q.lost.Add(1)
		q.out.Reset(q.w)
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
