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

// TestLogQueueIsBoundedInBytes writes few lines that are long while nobody reads.
func TestLogQueueIsBoundedInBytes(t *testing.T) {
	r, w := io.Pipe()
	q := newLogQueue(w, textLines)
	long := strings.Repeat("a", 30<<10) + "\n"
	for range 2 * logQueueBytes / len(long) {
		io.WriteString(q, long)
	}
	if n := q.lost.Load(); n < int64(logQueueBytes/len(long)/2) {
		t.Errorf("%d lines are lost", n)
	}
	go io.Copy(io.Discard, r)
	q.close()
	w.Close()
}

// failing is a reader that has gone, and comes back for the third write.
type failing struct {
	bytes.Buffer
	writes int
}

func (f *failing) Write(b []byte) (int, error) {
	if f.writes++; f.writes < 3 {
		return 0, io.ErrClosedPipe
	}
	return f.Buffer.Write(b)
}

func TestLogQueueOutlivesAFailure(t *testing.T) {
	var out failing
	q := newLogQueue(&out, textLines)
	long := strings.Repeat("a", 40<<10) + "\n" // each is written at once
	for range 10 {
		io.WriteString(q, long)
	}
	q.close()
	if n := strings.Count(out.String(), long); n < 8 || n > 9 || !strings.Contains(out.String(), "lines of the log are lost") {
		t.Errorf("%d of 10 lines came: …%q", n, out.String()[max(0, out.Len()-200):])
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
