// Package admin answers what operators, load balancers and Prometheus ask a replica, on an address of its own that is
// not for clients.
//
//	GET /healthz        200 while the process lives
//	GET /readyz         200 where a load balancer may send clients here, else 503 with the reasons
//	GET /metrics        Prometheus
//	GET /debug/pprof/   profiles of the running process, for `go tool pprof`
//
// It only reports: it changes nothing, starts no goroutine and does not listen; the caller serves the handler.
package admin

import (
	"errors"
	"net/http"
	"net/http/pprof"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the handler reports on.
type Options struct {
	// Ready returns nil where a load balancer may send clients to this replica, else why not; reasons that were put
	// together by errors.Join are told one by one. It is called for each request, from many goroutines, and must not
	// wait. Without it the replica is always ready.
	Ready func() error
	// Metrics is what /metrics shows. Without it there is no /metrics.
	Metrics *prometheus.Registry
}

// New returns the handler. It may serve many requests at once.
func New(o Options) http.Handler {
	// Gin has no mode per engine; in its debug mode it would write to the standard output.
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, status{Status: "ok"}) })
	e.GET("/readyz", readiness(o.Ready))
	if o.Metrics != nil {
		// One collector that fails must not hide all the others.
		h := promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: o.Metrics})
		e.GET("/metrics", gin.WrapH(h))
	}
	e.GET("/debug/pprof/*name", gin.WrapF(profile))
	e.NoRoute(func(c *gin.Context) { c.JSON(http.StatusNotFound, failure{Error: "not found"}) })
	e.NoMethod(func(c *gin.Context) { c.JSON(http.StatusMethodNotAllowed, failure{Error: "method not allowed"}) })
	return headOfGet(e)
}

// profile serves net/http/pprof, whose index knows all profiles but these by name.
func profile(w http.ResponseWriter, r *http.Request) {
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
	Reasons []string `json:"reasons,omitempty"`
}

type failure struct {
	Error string `json:"error"`
}

func readiness(ready func() error) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		var err error
		if ready != nil {
			err = ready()
		}
		if err != nil {
			c.JSON(http.StatusServiceUnavailable, status{Status: "not ready", Reasons: reasons(err)})
			return
		}
		c.JSON(http.StatusOK, status{Status: "ready"})
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

// headOfGet answers HEAD as GET, which some balancers probe by; net/http leaves the body out.
func headOfGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}
