package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// Writer writes a history of this process. It may be used concurrently.
type Writer struct {
	mu  sync.Mutex
	f   *os.File
	out *bufio.Writer
	err error
}

// Create makes the file of a history.
func Create(name string) (*Writer, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Writer{f: f, out: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Write adds an event that happens now; its time is set here, so that the lines are in the order of their times. An error comes
// back by Close.
func (w *Writer) Write(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.At = Now()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = w.out.Write(append(line, '\n'))
	}
	if w.err == nil {
		w.err = err
	}
}

// Close completes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range []error{w.out.Flush(), w.f.Close()} {
		if w.err == nil {
			w.err = err
		}
	}
	return w.err
}
