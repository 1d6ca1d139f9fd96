package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// statusError is an answer that is not 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprint("status ", int(e)) }

// line sends one request at a time, on a connection that it keeps unless fresh is set.
type line struct {
	addr  string
	from  net.IP
	fresh bool
	conn  net.Conn
	in    *bufio.Reader
}

// do sends a request, and once more if a kept connection ends before the answer's first byte. It returns the body of a
// 200. Any other end closes the connection.
func (l *line) do(ctx context.Context, method, query, body string) (string, error) {
	for {
		kept := l.conn != nil
		if err := l.dial(ctx); err != nil {
			return "", cause(ctx, err)
		}
		answer, begun, err := l.exchange(ctx, l.request(method, query, body))
		if err != nil || l.fresh {
			l.close()
		}
		if err == nil || !kept || begun || ctx.Err() != nil {
			return answer, cause(ctx, err)
		}
	}
}

// cause prefers the reason why ctx ended to the error that this brought about.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (l *line) dial(ctx context.Context) (err error) {
	if l.conn != nil {
		return nil
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: l.from}}
	if l.conn, err = d.DialContext(ctx, "tcp", l.addr); err != nil {
		l.conn = nil
		return err
	}
	l.in = bufio.NewReaderSize(l.conn, 1024)
	return nil
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// request is a request's bytes.
func (l *line) request(method, query, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s /socket.io/?EIO=4&transport=polling&t=%x%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n",
		method, time.Now().UnixNano(), query, l.addr)
	if l.fresh {
		b.WriteString("Connection: close\r\n")
	}
	if method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// exchange sends a request and reads the answer; begun tells whether the answer's first byte came.
func (l *line) exchange(ctx context.Context, request string) (body string, begun bool, err error) {
	conn := l.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, request); err != nil {
		return "", false, err
	}
	if _, err := l.in.Peek(1); err != nil {
		return "", false, err
	}
	answer, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return "", true, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = statusError(answer.StatusCode)
	}
	if answer.Close {
		l.close()
	}
	return string(b), true, err
}

// kind is the column of a table for an error.
func kind(err error) string {
	var status statusError
	switch {
	case errors.Is(err, errPatience), errors.Is(err, errSilent), errors.Is(err, errClosed), errors.As(err, &status):
		return err.Error()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed without an answer"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "time limit"
	}
	return "other: " + err.Error()
}
