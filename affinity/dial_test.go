package affinity_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/sidway/sidway/affinity/affinitytest"
)

// TestURLThatIsWrongAboutTLS has a client and a server of which only one speaks it, or a certificate that the client does not trust.
func TestURLThatIsWrongAboutTLS(t *testing.T) {
	t.Parallel()
	plain := affinitytest.StartRedis(t, "--requirepass", "secret")
	secure, ca := affinitytest.StartRedisTLS(t, "--requirepass", "secret")
	const (
		noTLS   = "the server does not speak TLS; write redis in place of rediss"
		onlyTLS = "the server speaks TLS; write rediss in place of redis"
	)
	alerts := alerting(t)
	for url, says := range map[string]string{
		"rediss://:secret@" + plain.Addr():                    noTLS,
		"rediss+cluster://:secret@" + plain.Addr():            noTLS,
		"rediss+sentinel://:secret@" + plain.Addr() + "/main": noTLS,
		"redis://:secret@" + secure.Addr():                    onlyTLS,
		"redis+cluster://:secret@" + secure.Addr():            onlyTLS,
		"redis+sentinel://:secret@" + secure.Addr() + "/main": onlyTLS,
		"redis://:secret@" + alerts:                           onlyTLS,
		"rediss://:secret@" + secure.Addr():                   "as ?ca=file",
		"rediss://:secret@localhost:1":                        "connection refused",
		"rediss://:secret@" + secure.Addr() + "/0?ca=" + ca:   "",
		"redis://:secret@" + plain.Addr():                     "",
	} {
		t.Run(strings.ReplaceAll(url, "/", " "), func(t *testing.T) {
			t.Parallel()
			r := newReplica(t, url)
			affinitytest.Eventually(t, "the reason "+says, func() bool {
				err := r.Ready()
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Fatalf("the password is told: %v", err)
				}
				return err == nil && says == "" || err != nil && says != "" && strings.Contains(err.Error(), says)
			})
		})
	}
}

// alerting is the address of a TLS server that says what it thinks of a client that does not speak it, as stunnel does and Redis does
// not.
func alerting(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_, _ = io.WriteString(conn, "\x15\x03\x03\x00\x02\x02\x46") // fatal, protocol_version
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return l.Addr().String()
}
