package discover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Kubernetes is a Source that watches the EndpointSlices of a Service: the pods that its selector finds, or whatever somebody wrote
// there. It lists them and then watches from the list's version on (https://kubernetes.io/docs/reference/using-api/api-concepts/,
// "Efficient detection of changes"), and lists again only when the API has forgotten that version.
//
// A node is called like its pod, or by its address if there is none. Its address is the pod's, IPv4 if it has both, and its label zone
// is the endpoint's zone. A pod that is neither ready nor serving is not in the list. A terminating pod that still serves is Terminating.
// What has no address, or a name that no node may have, is told and left out.
//
// A list ends after 100 pages, 32 MiB or 2,000 slices, and an event after 4 MiB: what is longer is not the API's, and is told.
//
// In a pod, its service account needs this rule in a Role of the Service's namespace:
//
//	{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
type Kubernetes struct {
	Service   string
	Namespace string // empty: the pod's own
	Port      string // a port's name in the Service, or a number, of the pods; empty: the first TCP port
	API       string // a URL, as http://127.0.0.1:8001 of kubectl proxy; empty: that of the cluster in which this runs
	Account   string // a directory with token, ca.crt and namespace; empty: where Kubernetes puts it in a pod

	retry time.Duration // after a first failure
}

const (
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
	// A watch ends by itself from time to time, so that connections spread over the API's servers again. Not all replicas' end at once.
	watchTime, watchSpread = 5 * time.Minute, 5 * time.Minute
	watchGrace             = 30 * time.Second // how much later than it should a watch is given up
	listTime               = 30 * time.Second // for one page
	pageSize               = 500
	mostPages              = 100
	mostSlices             = 2000
	longestList            = 32 << 20        // bytes, of all pages
	longestEvent           = 4 << 20         // the largest object is 1.5 MiB, by etcd's own limit
	stubborn               = 5               // failed watches in a row, after which the version is in doubt
	brief                  = 5 * time.Second // a watch that ends sooner and told nothing has failed
)

// Run is Source's.
func (k *Kubernetes) Run(ctx context.Context, found func([]Found), problem func(error)) error {
	a, err := k.connect()
	if err != nil {
		return err
	}
	defer a.client.CloseIdleConnections()
	w := watcher{k: k, api: a, news: news{found: found, problem: problem}}
	w.retry.first = cmp.Or(k.retry, time.Second)
	for ctx.Err() == nil {
		pause, err := w.step(ctx)
		if err != nil && ctx.Err() == nil {
			w.trouble(err)
		}
		sleep(ctx, pause, nil)
	}
	return nil
}

// trouble settles what follows from an error.
func (w *watcher) trouble(err error) {
	w.failed(err)
	var status *statusError
	if errors.As(err, &status) && status.Code == http.StatusForbidden {
		w.wrong(err) // only somebody's doing mends it
	}
	if errors.Is(err, errLong) || errors.Is(err, errMany) {
		w.odd = err // until there is another list
		w.wrong(err)
	}
	if errors.As(err, &status) && status.Code == http.StatusGone || w.retry.fails%stubborn == 0 {
		w.version = "" // forgotten; or of a server that is gone, or of an etcd that was restored from a backup
	}
}

// connect settles where the API is and how it is asked.
func (k *Kubernetes) connect() (*api, error) {
	a := &api{account: cmp.Or(k.Account, accountDir), inCluster: k.API == ""}
	base := k.API
	if a.inCluster {
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("discover: Kubernetes: this is no pod, since KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; the API's URL is needed")
		}
		base = "https://" + joinHostPort(host, port)
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("discover: Kubernetes: %q is no URL of an API", base)
	}
	namespace := k.Namespace
	if namespace == "" {
		b, err := os.ReadFile(a.account + "/namespace")
		if namespace = strings.TrimSpace(string(b)); err != nil || namespace == "" {
			return nil, fmt.Errorf("discover: Kubernetes: the namespace of %s is not known: %w", k.Service, cmp.Or(err, errors.New("empty file")))
		}
	}
	if k.Service == "" {
		return nil, errors.New("discover: Kubernetes: the Service has no name")
	}
	a.url = u.JoinPath("apis/discovery.k8s.io/v1/namespaces", namespace, "endpointslices")
	a.namespace = namespace
	a.client = a.newClient()
	return a, nil
}

// watcher knows the slices as they were at a version.
type watcher struct {
	news
	k     *Kubernetes
	api   *api
	retry backoff

	version string // empty: nothing is known
	slices  map[string]slice
	odd     error // what is wrong with the slices
}

// step lists the slices, or watches them until the watch ends. It returns how long to wait before the next one.
func (w *watcher) step(ctx context.Context) (pause time.Duration, err error) {
	if w.version == "" {
		if err := w.list(ctx); err != nil {
			return w.pause(err), err
		}
		w.publish()
		return 0, nil
	}
	began, version := time.Now(), w.version
	err = w.watch(ctx)
	long := time.Since(began) > brief
	if w.version != version || long {
		w.retry.fails = 0
	}
	if long && err == nil {
		return 0, nil
	}
	return w.pause(err), err
}

func (w *watcher) pause(err error) time.Duration {
	var status *statusError
	if errors.As(err, &status) {
		return max(w.retry.next(w.longest()), status.after)
	}
	return w.retry.next(w.longest())
}

// list reads all pages. A list that changes while it is read is as it was at the first page; if the API has forgotten that by
// then it says 410, and all is read anew.
func (w *watcher) list(ctx context.Context) error {
	all := map[string]slice{}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	left := int64(longestList)
	for range mostPages {
		var page struct {
			Metadata struct{ ResourceVersion, Continue string }
			Items    []slice
		}
		if err := w.page(ctx, query, &left, &page); err != nil {
			return err
		}
		for _, s := range page.Items {
			all[s.Metadata.Name] = s
		}
		if len(all) > mostSlices {
			return errMany
		}
		if page.Metadata.ResourceVersion == "" {
			return errors.New("Kubernetes: list: it has no version from which it can be watched")
		}
		if page.Metadata.Continue == "" {
			w.slices, w.version = all, page.Metadata.ResourceVersion
			return nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
	return fmt.Errorf("Kubernetes: list: it has no end after %d pages", mostPages)
}

var (
	errMany = fmt.Errorf("Kubernetes: there are more than %d EndpointSlices", mostSlices)
	errLong = errors.New("it is too long")
)

// bounded reads no more than is left, and then fails.
type bounded struct {
	io.Reader
	left *int64
}

func (b bounded) Read(p []byte) (int, error) {
	if *b.left == 0 {
		return 0, errLong
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), *b.left)])
	*b.left -= int64(n)
	return n, err
}

// page reads one page, of at most so many bytes.
func (w *watcher) page(ctx context.Context, query url.Values, left *int64, page any) error {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	body, err := w.api.get(ctx, w.k.Service, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(bounded{body, left}).Decode(page); err != nil {
		return fmt.Errorf("Kubernetes: list: %w", plain(err))
	}
	return nil
}

// watch takes changes until the watch ends; nil says that it ended as it should.
func (w *watcher) watch(ctx context.Context) error {
	limit := watchTime + rand.N(watchSpread)
	ctx, cancel := context.WithTimeout(ctx, limit+watchGrace)
	defer cancel()
	body, err := w.api.get(ctx, w.k.Service, url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {w.version}, "timeoutSeconds": {strconv.Itoa(int(limit.Seconds()))},
	})
	if err != nil {
		return err
	}
	defer body.Close()
	w.settle()
	left := int64(0)
	for events := json.NewDecoder(bounded{body, &left}); ; {
		var e event
		left = longestEvent
		if err := events.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("Kubernetes: watch: %w", plain(err))
		}
		if err := w.take(e); err != nil {
			return err
		}
	}
}

// event is metav1.WatchEvent.
type event struct {
	Type   string
	Object json.RawMessage
}

func (w *watcher) take(e event) error {
	if e.Type == "ERROR" {
		var status statusError
		if err := json.Unmarshal(e.Object, &status); err != nil {
			return fmt.Errorf("Kubernetes: watch: %w", err)
		}
		return &status
	}
	var s slice
	if err := json.Unmarshal(e.Object, &s); err != nil {
		return fmt.Errorf("Kubernetes: watch: %w", err)
	}
	w.version = s.Metadata.ResourceVersion
	switch e.Type {
	case "ADDED", "MODIFIED":
		if w.slices[s.Metadata.Name] = s; len(w.slices) > mostSlices {
			delete(w.slices, s.Metadata.Name)
			return errMany
		}
	case "DELETED":
		delete(w.slices, s.Metadata.Name)
	default: // BOOKMARK: only the version is new
		return nil
	}
	w.publish()
	w.settle()
	return nil
}

func (w *watcher) publish() {
	var list []Found
	if list, w.odd = merge(w.slices, w.k.Port); w.odd != nil {
		w.odd = fmt.Errorf("Kubernetes: Service %s/%s: %w", w.api.namespace, w.k.Service, w.odd)
	}
	w.news.list(list)
}

// settle tells how things are while the API can be asked.
func (w *watcher) settle() {
	if w.odd != nil {
		w.wrong(w.odd)
	} else {
		w.well()
	}
}
