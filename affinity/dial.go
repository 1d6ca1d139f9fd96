package affinity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errPlain = errors.New("the server does not speak TLS")
	errTLS   = errors.New("the server speaks TLS")
)

// greetTime is how long a server may leave us without a byte of its own before we look whether it speaks as the URL says, and how
// long that look may take. Both are over before opTimeout, so that the operation that wanted the connection learns the reason.
const greetTime = 40 * time.Millisecond

// dialer makes connections that bound what Redis may send. A Redis and a client of which only one speaks TLS wait for each other or
// hang up without a word; until a server has answered once, the dialer finds out whether that is so.
type dialer struct {
	secure *tls.Config // nil: none
	answered,
	suspected atomic.Bool // that the server does not speak TLS
}

func newDialer(secure *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&dialer{secure: secure}).dial
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	conn, err := redis.NewDialer(&redis.Options{DialTimeout: dialTimeout})(ctx, network, addr)
	if err == nil && d.secure != nil {
		conn, err = d.greet(ctx, conn, addr)
	}
	if err != nil {
		return nil, err
	}
	b := &boundedConn{Conn: conn}
	if d.secure == nil {
		b.answered, b.silent = &d.answered, func(err error) error { return d.explain(err, addr) }
	}
	if raw, ok := conn.(syscall.Conn); ok { // the client library looks at the socket before it uses it again
		return struct {
			*boundedConn
			syscall.Conn
		}{b, raw}, nil
	}
	return b, nil
}

// greet makes raw a connection by TLS, or closes it.
func (d *dialer) greet(ctx context.Context, raw net.Conn, addr string) (net.Conn, error) {
	c := d.secure.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr)
	}
	conn := tls.Client(raw, c)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var look sync.WaitGroup
	if !d.answered.Load() {
		look.Go(func() {
			if !d.suspected.Load() {
				pause(ctx, greetTime)
			}
			if speaksPlain(ctx, addr) {
				d.suspected.Store(true)
				stop(errPlain)
			}
		})
	}
	err := conn.HandshakeContext(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	look.Wait()
	if err != nil {
		raw.Close()
		return nil, err
	}
	d.answered.Store(true)
	return conn, nil
}

// explain returns why a connection ended with err before its first byte came.
func (d *dialer) explain(err error, addr string) error {
	ctx, stop := context.WithTimeout(context.Background(), greetTime)
	defer stop()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		probe := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // nothing is sent by it
		if conn, failed := probe.DialContext(ctx, "tcp", addr); failed == nil {
			conn.Close()
			return errTLS
		}
	}
	return err
}

// speaksPlain reports whether a Redis without TLS answers at addr.
func speaksPlain(ctx context.Context, addr string) bool {
	ctx, stop := context.WithTimeout(ctx, greetTime)
	defer stop()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	answer := make([]byte, 1)
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return false
	}
	_, err = io.ReadFull(conn, answer)
	return err == nil && (answer[0] == '+' || answer[0] == '-')
}

// pause waits for t or until ctx is done.
func pause(ctx context.Context, t time.Duration) {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
