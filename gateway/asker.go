package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sidway/sidway/gateway/cluster"
)

// asker asks a node by HTTP for nobody's request, one question after the other. It is for a goroutine that may block.
type asker struct {
	node   *cluster.Node
	header []byte // of the PROXY protocol, in front of each connection
	conn   net.Conn
	r      *bufio.Reader
}

// mostAsked bounds the body of an answer.
const mostAsked = 16 << 20

// errAnswer says that a node has not answered as it should.
var errAnswer = errors.New("unexpected answer")

// ask sends a request, and returns the body of its answer, which must be a 200.
func (a *asker) ask(ctx context.Context, request []byte, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	body, err := a.exchange(ctx, request)
	if err != nil {
		a.close()
	}
	return body, err
}

func (a *asker) exchange(ctx context.Context, request []byte) ([]byte, error) {
	if a.conn == nil {
		if err := a.dial(ctx); err != nil {
			return nil, err
		}
	}
	until, _ := ctx.Deadline()
	if err := a.conn.SetDeadline(until); err != nil {
		return nil, err
	}
	if _, err := a.conn.Write(request); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(a.r, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAsked))
	if res.Close {
		a.close()
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w %d", errAnswer, res.StatusCode)
	}
	return body, err
}

func (a *asker) dial(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", a.node.Address)
	if err != nil {
		return err
	}
	if _, err = conn.Write(a.header); err == nil && a.node.TLS != nil {
		secure := tls.Client(conn, a.node.TLS)
		err = secure.HandshakeContext(ctx)
		a.conn = secure
	} else {
		a.conn = conn
	}
	a.r = bufio.NewReader(a.conn)
	if err != nil {
		a.close()
	}
	return err
}

func (a *asker) close() {
	if a.conn != nil {
		_ = a.conn.Close()
		a.conn = nil
	}
}
