package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tellInPlace tells of lost lines in the log itself.
func tellInPlace(lost int64, _ error) ([]byte, bool) {
	return fmt.Appendf(nil, "%d lines of the log are lost\n", lost), true
}

func TestLogQueueWritesAllInOrder(t *testing.T) {
	var out bytes.Buffer
	q := newLogQueue(&out, tellInPlace)
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
	q := newLogQueue(w, tellInPlace)
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
	q := newLogQueue(w, tellInPlace)
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
	q := newLogQueue(&out, tellInPlace)
	long := strings.Repeat("a", 40<<10) + "\n" // each is written at once
	for range 10 {
		io.WriteString(q, long)
	}
	q.close()
	n, told := strings.Count(out.String(), long), 0
	for line := range strings.Lines(out.String()) {
		lost := 0
		fmt.Sscanf(line, "%d lines of the log are lost", &lost)
		told += lost
	}
	if n == 0 || n+told != 10 {
		t.Errorf("%d of 10 lines came, and %d are told to be lost: …%q", n, told, out.String()[max(0, out.Len()-200):])
	}
}

// full is a disk that has room for some bytes, until it is emptied.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(b []byte) (int, error) {
	n := min(f.room, len(b))
	f.room -= n
	f.Buffer.Write(b[:n])
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestLogQueueOnAFullDisk: what got there whole counts as written, and what follows begins on a line of its own.
func TestLogQueueOnAFullDisk(t *testing.T) {
	lost := int64(0)
	q := &logQueue{out: &full{room: 20}, tell: func(n int64, _ error) ([]byte, bool) { lost = n; return nil, true }}
	add := func(lines ...string) {
		for _, l := range lines {
			q.piece = append(q.piece, l+"\n"...)
			q.count++
		}
		q.flush()
	}
	add("line one", "line two", "line three") // 9 bytes each, and "li" of the third
	add("line four", "line 4.5")
	q.out.(*full).room = 100
	add("line five")
	if got, want := q.out.(*full).String(), "line one\nline two\nli\nline five\n"; got != want || lost != 3 || q.lost.Load() != 0 {
		t.Errorf("got %q, want %q; %d lines are told to be lost, and %d not told yet", got, want, lost, q.lost.Load())
	}
}

// TestLogQueueChangesFiles: each line is in one file, whole, whenever the file is changed.
func TestLogQueueChangesFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(i int) *os.File {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	q := newLogQueue(file(0), tellInPlace)
	for i := range 100 {
		for j := range 30 {
			fmt.Fprintf(q, "line %d\n", 30*i+j)
		}
		q.use(file(i + 1))
	}
	q.close()
	var all []byte
	for i := range 101 {
		b, _ := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)))
		if len(b) > 0 && b[len(b)-1] != '\n' {
			t.Errorf("file %d ends within a line", i)
		}
		all = append(all, b...)
	}
	for i := range 3000 {
		if line := fmt.Sprintf("line %d\n", i); !bytes.HasPrefix(all, []byte(line)) {
			t.Fatalf("%q does not follow, but %.20q", line, all)
		}
		all = all[bytes.IndexByte(all, '\n')+1:]
	}
}

func TestLogQueueClosesWithoutAReader(t *testing.T) {
	r, w := io.Pipe()
	q := newLogQueue(w, tellInPlace)
	fmt.Fprintln(q, "nobody reads this")
	began := time.Now()
	q.close()
	if took := time.Since(began); took < logCloseTime || took > 10*logCloseTime {
		t.Errorf("closed after %v", took)
	}
	r.Close() // lets the queue's goroutine end
	<-q.ended
}
