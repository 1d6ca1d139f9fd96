package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// A process that was stopped for longer than its limits, for much or for a little, answers what came meanwhile.
func TestRequestsThatComeWhileItIsStopped(t *testing.T) {
	for _, stopped := range []time.Duration{1800 * time.Millisecond, 4 * time.Second} {
		t.Run(stopped.String(), func(t *testing.T) {
			t.Parallel()
			answersWhatCame(t, stopped)
		})
	}
}

func answersWhatCame(t *testing.T, stopped time.Duration) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "got %s", body)
	}))
	defer node.Close()
	listen := free(t)
	p := start(t, []string{"SIDWAY_SHUTDOWN_NOTICE=0s", "SIDWAY_LIMITS_HEADER_TIME=1500ms", "SIDWAY_LIMITS_BODY_TIME=1500ms", "SIDWAY_LIMITS_BODY_RATE=0", "SIDWAY_LIMITS_IDLE_TIME=1500ms"},
		"serve", "--node", node.URL, "--listen", listen, "--admin", "off")
	p.expect(t, "msg=serving")
	const request = "POST /socket.io/x.html HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
	var conns []net.Conn
	for _, sent := range []int{0, 10, len(request) - 1} { // nothing, half a head, most of a body
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request[:sent])
		conns = append(conns, conn)
	}
	get(t, "http://"+listen+"/")       // by which time those have been accepted
	time.Sleep(100 * time.Millisecond) // and its loops are at rest, of which nothing tells
	p.signal(t, syscall.SIGSTOP)
	for i, sent := range []int{0, 10, len(request) - 1} {
		io.WriteString(conns[i], request[sent:])
	}
	time.Sleep(stopped) // it is stopped, so nothing else tells that the time is over
	p.signal(t, syscall.SIGCONT)
	for i, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(patience))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if res.StatusCode == 408 || res.StatusCode >= 500 {
			t.Errorf("%d: %s", i, res.Status)
		}
		res.Body.Close()
	}
	if stopped > 3*time.Second {
		p.expect(t, "this replica stood still")
	}
	p.signal(t, syscall.SIGTERM)
	p.end(t)
}
