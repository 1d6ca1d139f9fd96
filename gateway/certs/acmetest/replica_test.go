package acmetest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/gateway/certs"
	"github.com/sidway/sidway/gateway/config"
)

// another is what a second replica is told: what a process knows of its own challenges is one map, so that it must be another process.
type another struct {
	TLS   config.TLS
	Redis string
}

const variable = "ACMETEST_REPLICA"

func TestMain(m *testing.M) {
	if text := os.Getenv(variable); text != "" {
		if err := replica(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Of certmagic a goroutine for each authority and address is left, and for seconds one for each lock; of Pebble one.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
	)
}

// replica serves at the descriptors 3 and 4 until its standard input ends.
func replica(text string) error {
	var a another
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	client, err := affinity.Open(a.Redis)
	if err != nil {
		return err
	}
	c, err := certs.New(a.TLS, certs.Store{Redis: client, Prefix: prefix}, certs.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var listeners []net.Listener
	for _, fd := range []uintptr{3, 4} {
		l, err := net.FileListener(os.NewFile(fd, "listener"))
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	s := &site{Certificates: c}
	quiet := log.New(io.Discard, "", 0)
	go (&http.Server{Handler: http.HandlerFunc(s.challenge), ErrorLog: quiet}).Serve(listeners[0])
	go (&http.Server{Handler: http.NotFoundHandler(), ErrorLog: quiet}).Serve(tls.NewListener(listeners[1], c.TLS()))
	ctx, cancel := contextOfInput()
	defer cancel()
	return c.Run(ctx)
}

// startReplica starts another replica, which has two listeners.
func startReplica(t *testing.T, a another, listeners ...net.Listener) {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), variable+"="+string(text)), os.Stderr
	for _, l := range listeners {
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// contextOfInput is done when standard input ends.
func contextOfInput() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return ctx, cancel
}
