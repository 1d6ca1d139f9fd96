package affinity_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/affinity/affinitytest"
)

// liar is a server that speaks enough of RESP to be taken for Redis, and lies when it is asked for one thing.
type liar struct {
	l   net.Listener
	lie func(w io.Writer)
	to  string        // the command that it answers with the lie
	cut chan struct{} // closed when the client has cut a connection because of the lie

	mu    sync.Mutex
	conns []net.Conn
	once  sync.Once
	work  sync.WaitGroup
}

func startLiar(t *testing.T, to string, lie func(io.Writer)) *liar {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &liar{l: l, lie: lie, to: to, cut: make(chan struct{})}
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.work.Go(func() { s.serve(conn) })
		}
	})
	return s
}

func (s *liar) end() {
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

func (s *liar) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		command, err := readCommand(r)
		if err != nil {
			return
		}
		if command == s.to {
			s.lie(conn)
			_, _ = io.Copy(io.Discard, conn)
			s.once.Do(func() { close(s.cut) })
			return
		}
		io.WriteString(conn, s.honest(command))
	}
}

func (s *liar) honest(command string) string {
	host, port, _ := net.SplitHostPort(s.l.Addr().String())
	switch command {
	case "HELLO":
		return "-ERR unknown command\r\n"
	case "SENTINEL get-master-addr-by-name":
		return fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
	case "SENTINEL sentinels":
		return "*0\r\n"
	case "SUBSCRIBE":
		return "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
	case "CLUSTER slots":
		return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$%d\r\n%s\r\n:%s\r\n$2\r\nid\r\n", len(host), host, port)
	case "GET":
		return "$26\r\n1 4 25000 20000 1000000 n1\r\n"
	case "PTTL", "INCRBY", "PEXPIRE", "DEL":
		return ":60000\r\n"
	case "INFO":
		return "$0\r\n\r\n"
	}
	return "+OK\r\n"
}

// readCommand returns the command's name, with its subcommand where it has one.
func readCommand(r *bufio.Reader) (string, error) {
	number := func() (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	words := make([]string, n)
	for i := 0; i < n && err == nil; i++ {
		var length int
		if length, err = number(); err == nil {
			word := make([]byte, length+2)
			_, err = io.ReadFull(r, word)
			words[i] = string(word[:length])
		}
	}
	if err != nil {
		return "", err
	}
	name := strings.ToUpper(words[0])
	if name == "CLUSTER" || name == "SENTINEL" {
		name += " " + strings.ToLower(words[1])
	}
	return name, nil
}

// lies are replies that a client must not believe. The endless ones end when the client has closed.
var lies = map[string]func(io.Writer){
	"a string of 2 GB":  func(w io.Writer) { io.WriteString(w, "$2147483647\r\n+") },
	"an array of 2^31":  func(w io.Writer) { io.WriteString(w, "*2147483648\r\n+") },
	"a long array":      func(w io.Writer) { io.WriteString(w, "*100000000\r\n*3\r\n") },
	"a long map":        func(w io.Writer) { io.WriteString(w, "%100000000\r\n+") },
	"nested arrays":     func(w io.Writer) { endless(w, "*3\r\n") },
	"nested attributes": func(w io.Writer) { endless(w, "|1\r\n") },
	"an endless status": func(w io.Writer) { io.WriteString(w, "+"); endless(w, "a") },
	"an endless error":  func(w io.Writer) { io.WriteString(w, "-"); endless(w, "a") },
	"an endless length": func(w io.Writer) { io.WriteString(w, "$"); endless(w, "0") },
	"no RESP":           func(w io.Writer) { endless(w, "HTTP/1.1 200 OK\r\n") },
}

func endless(w io.Writer, s string) {
	s = strings.Repeat(s, 64<<10/len(s))
	for {
		if _, err := io.WriteString(w, s); err != nil {
			return
		}
	}
}

// A server that announces or sends more than Redis has any reason to costs bounded memory, whichever question it answers
// so, and counts as one that cannot be used.
func TestRedisRepliesAreBounded(t *testing.T) {
	const single = "redis://"
	for _, c := range []struct{ scheme, path, to, op string }{
		{single, "", "HELLO", "Lookup"},
		{single, "", "GET", "Lookup"},
		{single, "", "PTTL", "Lookup"},
		{single, "", "SET", "Bind"},
		{single, "", "SET", "BindAll"},
		{single, "", "DEL", "Unbind"},
		{single, "", "INCRBY", "Probe"},
		{single, "", "INFO", "Probe"},
		{"redis+sentinel://", "/main", "SENTINEL get-master-addr-by-name", "Lookup"},
		{"redis+sentinel://", "/main", "SENTINEL sentinels", ""},
		{"redis+sentinel://", "/main", "SUBSCRIBE", ""},
		{"redis+sentinel://", "/main", "GET", "Lookup"},
		{"redis+cluster://", "", "CLUSTER slots", "Lookup"},
		{"redis+cluster://", "", "GET", "Lookup"},
		{"redis+cluster://", "", "INFO", "Probe"},
	} {
		for name, lie := range lies {
			t.Run(fmt.Sprintf("%s %s %s", strings.TrimSuffix(c.scheme, "://"), c.to, name), func(t *testing.T) {
				s := startLiar(t, c.to, lie)
				defer s.end()
				client, err := affinity.Open(c.scheme + s.l.Addr().String() + c.path)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				store := affinity.NewRedis(client, "p:")
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				affinitytest.Eventually(t, "a client that cuts the connection", func() bool {
					if c.op == "" { // the client asks by itself
						_, _ = store.Lookup(t.Context(), "sid")
					} else if err := operations(store)[c.op](t.Context()); !errors.Is(err, affinity.ErrUnavailable) {
						t.Errorf("%s = %v", c.op, err)
					}
					select {
					case <-s.cut:
						return true
					default:
						return false
					}
				})
				_ = client.Close()
				s.end()
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc + after.StackInuse - before.StackInuse; int64(took) > 64<<20 {
					t.Errorf("%d MiB were allocated", took>>20)
				}
			})
		}
	}
}
