package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func textLines(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

func TestLogQueueWritesAllInOrder(t *testing.T) {
	var out bytes.Buffer
	q := newLogQueue(&out, textLines)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(q, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	q.close()
	if out.String() != want.String() {
		t.Errorf("got %d bytes, want %d", out.Len(), want.Len())
	}
}

// TestLogQueueNeverBlocks writes more than there is room for while nobody reads, and then reads what is left.
func TestLogQueueNeverBlocks(t *testing.T) {
	r, w := io.Pipe()
	q := newLogQueue(w, textLines)
	for i := range 3 * logQueueLines {
		fmt.Fprintf(q, "line %d\n", i)
	}
	read := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		read <- string(all)
	}()
	fmt.Fprintln(q, "one more")
	q.close()
	w.Close()
	all := <-read
	kept := strings.Count(all, "line ")
	if kept < logQueueLines || kept >= 3*logQueueLines || !strings.Contains(all, "lines of the log are lost") {
		t.Errorf("%d of %d lines came: …%q", kept, 3*logQueueLines, all[max(0, len(all)-200):])
	}
}

func TestLogQueueClosesWithoutAReader(t *testing.T) {
	r, w := io.Pipe()
	q := newLogQueue(w, textLines)
	fmt.Fprintln(q, "nobody reads this")
	began := time.Now()
	q.close()
	if took := time.Since(began); took < logCloseTime || took > 10*logCloseTime {
		t.Errorf("closed after %v", took)
	}
	r.Close() // lets the queue's goroutine end
	<-q.ended
}
