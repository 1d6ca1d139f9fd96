package main

import (
	"bytes"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// A queue that has one or the other takes no more.
const (
	logQueueLines = 4096
	logQueueBytes = 4 << 20
)

// logPiece is how many bytes of lines that wait are written at once.
const logPiece = 32 << 10

// logCloseTime is how long close waits for a reader of the log that has stopped.
const logCloseTime = time.Second

// logQueue writes lines on a goroutine of its own, so that nobody who logs ever waits: where the reader of the log has
// stopped, or the disk has, the sessions must not. Lines that find the queue full are lost, and so are those that cannot be
// written, and how many is told later; those that come after close are lost too. Write may be called concurrently.
type logQueue struct {
	out    io.Writer
	tell   func(lost int64, failed error) (line []byte, told bool)
	lines  chan []byte
	next   chan io.Writer // to take the place of out
	bytes  atomic.Int64   // in lines
	lost   atomic.Int64   // and not told yet
	sum    atomic.Uint64  // of all lines that were ever lost
	ending chan struct{}
	ended  chan struct{}

	piece []byte // whole lines to be written
	count int64  // how many
	torn  bool   // the last line in out is not whole

	failed error // why the last piece could not be written
}

// newLogQueue returns a queue that writes to out. tell is asked, on the queue's goroutine, to tell of so many lost lines, and why
// the last ones could not be written, if so; it may return a line for out that does, and false where more may follow.
func newLogQueue(out io.Writer, tell func(int64, error) ([]byte, bool)) *logQueue {
	q := &logQueue{
		out: out, tell: tell,
		lines: make(chan []byte, logQueueLines), next: make(chan io.Writer, 1),
		ending: make(chan struct{}), ended: make(chan struct{}),
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
	q.lose(1)
	return len(line), nil
}

func (q *logQueue) lose(n int64) {
	q.lost.Add(n)
	q.sum.Add(uint64(n))
}

// use has the queue write to out from now on, and close what it wrote to before, if that is a file. It does not wait, and is for
// one goroutine at a time.
func (q *logQueue) use(out io.Writer) {
	select {
	case unused := <-q.next:
		closeFile(unused)
	default:
	}
	q.next <- out
}

func (q *logQueue) run() {
	defer close(q.ended)
	for {
		select {
		case line := <-q.lines:
			q.bytes.Add(-int64(len(line)))
			q.piece = append(q.piece, line...)
			q.count++
		case out := <-q.next:
			q.flush()
			closeFile(q.out)
			q.out, q.torn = out, false
		case <-q.ending:
			if len(q.lines) == 0 {
				closeFile(q.out)
				return
			}
			continue
		}
		if len(q.lines) == 0 || len(q.piece) >= logPiece {
			q.flush()
		}
	}
}

// flush writes what is collected, with how many lines were lost before that. What cannot be written is lost, but for lines that got
// there whole; the next one begins on a line of its own.
func (q *logQueue) flush() {
	lost, told := q.lost.Load(), false
	if lost > 0 {
		var line []byte
		line, told = q.tell(lost, q.failed)
		q.piece = append(q.piece, line...)
	}
	if len(q.piece) == 0 {
		return
	}
	if q.torn {
		q.piece = slices.Insert(q.piece, 0, '\n')
	}
	n, err := q.out.Write(q.piece)
	q.failed = err
	switch {
	case err != nil:
		whole := int64(bytes.Count(q.piece[:n], []byte{'\n'}))
		if q.torn && n > 0 {
			whole--
		}
		q.lose(max(0, q.count-whole))
		q.torn = n > 0 && q.piece[n-1] != '\n' || n == 0 && q.torn
	default:
		q.torn = false
		if told {
			q.lost.Add(-lost)
		}
	}
	q.piece, q.count = q.piece[:0], 0
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
