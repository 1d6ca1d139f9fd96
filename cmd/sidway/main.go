// Sidway is a gateway for Socket.IO clusters: it sends every request of a session to the node that made the session.
//
//	sidway serve --config sidway.yaml
//	sidway check --config sidway.yaml
//	sidway health
//	sidway status --watch
//	sidway drain n2 --deadline 5m --wait
//	sidway release v2 10%
//	sidway reload
//	sidway version
//
// SIGTERM ends a replica gracefully, so does SIGINT without shutdown.notice, and a second signal ends it at once. SIGHUP has the settings read again, and
// SIGUSR1 the file of the access log opened again. SIGUSR2 has the program started again, which takes the listeners over. The exit status is 0 when all went well, 1 when
// it did not, and 2 when the command was not understood.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidway/sidway/gateway/replica"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // whose usual effect is to end the process
	reopens := make(chan os.Signal, 1)
	signal.Notify(reopens, syscall.SIGUSR1) // likewise
	handovers := make(chan os.Signal, 1)
	signal.Notify(handovers, syscall.SIGUSR2) // likewise
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		s := <-signals
		// From here on a signal has its usual effect again, which is to end the process.
		signal.Stop(signals)
		if s == os.Interrupt { // Ctrl-C: whoever is at the keyboard waits for the end
			cancel(replica.ErrNoNotice)
		}
		cancel(nil)
	}()
	c := command{env: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, hangups: hangups, reopens: reopens, handovers: handovers}
	os.Exit(c.run(ctx, os.Args[1:]))
}
