package notice_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidway/sidway/gateway/notice"
)

// shortOfDescriptors accepts nothing, for want of descriptors, until it has been asked that often.
type shortOfDescriptors struct {
	net.Listener
	asked int
}

func (l *shortOfDescriptors) Accept() (net.Conn, error) {
	if l.asked--; l.asked < 0 {
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
}

func (l *shortOfDescriptors) Close() error { return nil }

// A server that is out of descriptors for five minutes says so five times, and something else at once.
func TestServerLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s := http.Server{ErrorLog: notice.ServerLog(slog.New(slog.NewTextHandler(&b, nil)))}
		began := time.Now()
		if err := s.Serve(&shortOfDescriptors{asked: 300}); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		s.ErrorLog.Print("http: something else")
		if n := strings.Count(b.String(), "too many open files; retrying in"); n != 5 || time.Since(began) < 290*time.Second {
			t.Errorf("told %d times in %v", n, time.Since(began))
		}
		if !strings.Contains(b.String(), "something else") {
			t.Error(b.String())
		}
	})
}
