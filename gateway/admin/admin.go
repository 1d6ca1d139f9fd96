// Package admin answers what operators, load balancers and Prometheus ask a replica, on an address of its own that is
// not for clients.
//
//	GET /healthz        200 while the process lives
//	GET /readyz         200 where a load balancer may send clients here, else 503 with the reasons; and how the store is
//	GET /metrics        Prometheus
//	/api/               status and changes, see package api
//	GET /               the status page, whose files are below /page/; see package page
//	GET /debug/pprof/   profiles of the running process, for `go tool pprof`, where they are asked for
//
// The health checks and the files of the page, which hold nothing of the replica, are for anybody. The rest is for clients on this
// machine and for those who bear the token, see Options.Token. Web pages in a browser are kept from all of it, see Options.Hosts: a
// page of the internet must not read it through an operator's browser.
// It starts no goroutine and does not listen; the caller serves the handler.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the handler reports on.
type Options struct {
	// Ready returns nil where a load balancer may send clients to this replica, else why not; reasons that were put
	// together by errors.Join are told one by one. It is called for each request, from many goroutines, and must not
	// wait. Without it the replica is always ready.
	Ready func() error
	// Store returns nil while the store of bindings can be used, else why not, likewise. It changes the body of /readyz and not
	// the status: a store that is down is down for all replicas, and they serve on. Without it the body says nothing of a store.
	Store func() error
	// Rights returns nil unless the store refuses something else that replicas need, likewise. It adds to the reasons in the body of
	// /readyz, and changes nothing else.
	Rights func() error
	// Token, as Authorization: Bearer, lets clients on other machines read and change, and those on this machine change. Without it
	// clients on other machines may do neither, and those on this machine both.
	Token string
	// Metrics is what /metrics shows. Without it there is no /metrics.
	Metrics *prometheus.Registry
	// OpenMetrics shows /metrics to clients on other machines without the token.
	OpenMetrics bool
	// Profiles serves /debug/pprof/. Anybody who reaches the address can make the process pay for them.
	Profiles bool
	// Listen is the host:port that was asked for. On a loopback address the Host of a request must be localhost, a
	// loopback address or one of Hosts. Else it may be any address, any name without a dot, and Listen's own host too.
	Listen string
	// Hosts are more names that operators, Prometheus or probes use: ops.example.com, or *.example.com for all below it.
	Hosts []string
	// API serves what is below /api/. Without it there is none.
	API http.Handler
	// Page serves / and what is below /page/. Without it there is no page.
	Page http.Handler
	// Log is told of the first unknown host. Without it nobody is.
	Log *slog.Logger
}

// LongestProfile is the most that a profile may ask for. A server's WriteTimeout must be longer.
const LongestProfile = 60 * time.Second

// New returns the handler. It may serve many requests at once.
func New(o Options) http.Handler {
	mux, only := http.NewServeMux(), newAccess(o.Token).only
	get := func(path string, h http.Handler) {
		mux.Handle("GET "+path, h) // and HEAD, by which some balancers probe
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", http.MethodGet)
			write(w, http.StatusMethodNotAllowed, failure{Error: "method not allowed"})
		})
	}
	get("/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, status{Status: "ok"}) }))
	get("/readyz", readiness(o))
	if o.Metrics != nil {
		// One collector that fails must not hide all the others.
		h := promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: o.Metrics})
		if !o.OpenMetrics {
			h = only(h)
		}
		get("/metrics", h)
	}
	if o.API != nil {
		mux.Handle("/api/", only(o.API))
	}
	if o.Page != nil {
		get("/{$}", o.Page)
		get("/page/", o.Page)
	}
	if o.Profiles {
		get("/debug/pprof/", only(http.HandlerFunc(profile)))
	}
	mux.Handle("/", only(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, failure{Error: "not found"})
	})))
	return newGuard(o, mux)
}

// write sends an answer; a client that has gone needs none.
func write(w http.ResponseWriter, code int, answer any) {
	body, _ := json.Marshal(answer) // of strings, so there is no error
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// profile serves net/http/pprof, whose index knows all profiles but these by name.
func profile(w http.ResponseWriter, r *http.Request) {
	if s := r.FormValue("seconds"); s != "" {
		if n, err := strconv.ParseFloat(s, 64); err != nil || !(n <= LongestProfile.Seconds()) { // NaN is refused too
			write(w, http.StatusBadRequest, failure{Error: fmt.Sprintf("seconds is a number up to %g", LongestProfile.Seconds())})
			return
		}
	}
	switch r.URL.Path {
	case "/debug/pprof/profile":
		pprof.Profile(w, r)
	case "/debug/pprof/trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}

type status struct {
	Status  string   `json:"status"`
	Store   string   `json:"store,omitempty"` // up or down
	Reasons []string `json:"reasons,omitempty"`
}

type failure struct {
	Error string `json:"error"`
}

func readiness(o Options) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		code, answer := http.StatusOK, status{Status: "ready"}
		if o.Store != nil {
			answer.Store = "up"
			if err := o.Store(); err != nil {
				answer.Store, answer.Reasons = "down", reasons(err)
			}
		}
		if o.Ready != nil {
			if err := o.Ready(); err != nil {
				code, answer.Status, answer.Reasons = http.StatusServiceUnavailable, "not ready", reasons(err)
			}
		}
		if o.Rights != nil {
			if err := o.Rights(); err != nil {
				answer.Reasons = append(answer.Reasons, reasons(err)...)
			}
		}
		write(w, code, answer)
	}
}

// reasons takes joined errors apart.
func reasons(err error) []string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, reasons(e)...)
	}
	return all
}
