package request

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidway/sidway/affinity"
	"github.com/sidway/sidway/engineio"
	"github.com/sidway/sidway/gateway/cluster"
	"github.com/sidway/sidway/gateway/guard"
	"github.com/sidway/sidway/gateway/recovery"
)

// Route is a cluster and the requests that belong to it.
type Route struct {
	// Hosts are the host names served, lower case and without port, `*.example.com` for any name below; none means all.
	Hosts []string
	// Path is the prefix of Socket.IO's requests, `/socket.io/` as a rule. Requests on other paths of the same host go
	// to the nodes in turn.
	Path string
	// MaxBody limits a request's body in bytes. 0: for Socket.IO what the session's open packet announced, otherwise
	// no limit.
	MaxBody int64
	// DisableKeepAlive has each connection to a node carry one request: for nodes behind something that routes connections, and
	// not requests, by what comes first on them.
	DisableKeepAlive bool
	// ProxyProtocol is the version, 1 or 2, of the PROXY protocol's header with which each connection to a node begins; 0: none does.
	ProxyProtocol byte
	Cluster       *cluster.Cluster
	// HashBy is what of a request settles its node, where the cluster picks by cluster.Hash.
	HashBy HashBy
	// Static are the prefixes of the paths of files, which Files has in place of Cluster: a cluster of one node, the server of
	// package static. A WebSocket's handshake goes to Cluster nevertheless.
	Static []string
	Files  *cluster.Cluster
	// Maintenance is a page, in HTML, for requests that are not Socket.IO's while Cluster has no node to be had: they get it
	// with 503 at once. "": they wait for a node.
	Maintenance string
	// Headers is what is changed in the requests that nodes get; nil: nothing.
	Headers *Headers
	// Auth is who may have a session; nil: anybody.
	Auth *Auth
	// Origins are those of pages that may use Socket.IO and WebSockets; nil: any may.
	Origins Origins
	// CORS is told to pages in place of what nodes say of it; nil: they are asked.
	CORS *CORS
	// Guard is what is done with requests that would harm nodes.
	Guard guard.Policy
	// Recovery knows how the nodes restore sessions: those of Engine.IO 4 on WebSockets go on at another node when they are moved, or their
	// node crashes. nil: they do not.
	Recovery *recovery.Store
	// ShowPayloads is whether somebody who looks at a session's packets sees more than their names.
	ShowPayloads bool
	// MovePatience is how long a session that is to be moved may take until nothing is under way; 0: two seconds.
	MovePatience time.Duration
	// Heartbeat is whether sessions of Engine.IO 4 on WebSockets have one heartbeat with the client and another with the node.
	Heartbeat bool
	// Store holds this cluster's bindings.
	Store affinity.Store
	// OnTaken is told of a handshake that is refused because the sid that the node refused made lives on node. It may be
	// nil, is called concurrently and must not block.
	OnTaken func(refused, node string)
	// Kept returns the binding of a session that goes on being counted although Store has no binding of it. It may be nil, and is called
	// concurrently.
	Kept func(sid string) (affinity.Binding, bool)
}

// ReadsFrames reports whether packets in the route's WebSockets have to be read.
func (r *Route) ReadsFrames() bool { return r.Recovery != nil || r.Heartbeat || r.Guard.Frames }

// ReadsFrames reports whether packets in the WebSocket that the request asks for have to be read.
func (x *Request) ReadsFrames() bool { return x.Route.ReadsFrames() || x.Unproven }

// Judge looks for the rules that a client's packets break, and reports whether its node is not to get them.
func (r *Route) Judge(found *engineio.Payload) (broken guard.Set, refused bool) {
	if found.Opaque || found.Attachments > r.Guard.Most() {
		broken.Add(guard.Attachments)
	}
	if found.OddEvent {
		broken.Add(guard.EventName)
	}
	return broken, broken&^r.Guard.Report != 0
}

// Routes are tried in their order.
type Routes []*Route

// pathOf is what a path belongs to.
type pathOf uint8

const (
	isOrdinary pathOf = iota
	isFile
	isSocketIO
)

// match finds the route of a request: the first that serves the host and whose Socket.IO path begins the request's path, else the
// first that serves the host and has a prefix of files that does, else the first that serves the host, whose nodes then get an
// ordinary request.
func (all Routes) match(host, path, query string) (r *Route, of pathOf) {
	name := hostname(host)
	for _, candidate := range all {
		if !candidate.serves(name) {
			continue
		}
		if strings.HasPrefix(path, candidate.Path) {
			if candidate.IsClientBundle(path) && !engineio.HasQuery(query) {
				return candidate, isOrdinary
			}
			return candidate, isSocketIO
		}
		if of == isOrdinary && candidate.hasFile(path) {
			r, of = candidate, isFile
		}
		if r == nil {
			r = candidate
		}
	}
	return r, of
}

// hasFile reports whether the path is of one of the route's files.
func (r *Route) hasFile(path string) bool {
	for _, prefix := range r.Static {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// Paths lists the Socket.IO paths of all clusters that serve a host.
func (all Routes) Paths(host string) string {
	var paths []string
	for _, r := range all {
		if r.serves(hostname(host)) && !slices.Contains(paths, r.Path) {
			paths = append(paths, r.Path)
		}
	}
	return strings.Join(paths, ", ")
}

// serves reports whether the route is for that host name, which is compared without regard to case.
func (r *Route) serves(name string) bool {
	for _, h := range r.Hosts {
		if below, ok := strings.CutPrefix(h, "*"); ok {
			if len(name) > len(below) && strings.EqualFold(name[len(name)-len(below):], below) {
				return true
			}
		} else if strings.EqualFold(name, h) {
			return true
		}
	}
	return len(r.Hosts) == 0
}

// hostname is a Host field without port and without a final dot.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// IsClientBundle recognises the JavaScript client that Socket.IO servers hand out below their own path, by the exact
// names that they look for before they take a request for Engine.IO's. A server that does not hand it out takes it for
// Engine.IO's, and so does every server that is asked for a WebSocket.
func (r *Route) IsClientBundle(path string) bool {
	switch strings.TrimSuffix(path[len(r.Path):], ".map") {
	case "socket.io.js", "socket.io.esm.js", "socket.io.msgpack.js",
		"socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js":
		return true
	}
	return false
}

// hides reports whether a path reaches a Socket.IO path of the host's clusters by another spelling than the plain one:
// one that a node resolves or decodes, and that was therefore judged by the wrong rules here.
func (all Routes) hides(host, path string) bool {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "..") && !strings.Contains(path, "//") && !strings.Contains(path, "%") {
		return false
	}
	name, plain := hostname(host), unescape(path)
	return slices.ContainsFunc(all, func(r *Route) bool { return r.serves(name) && r.hides(path, plain) })
}

// hides does so for one route and a path of which plain is the decoded form.
func (r *Route) hides(path, plain string) bool {
	dotted := strings.Contains(plain, "..") || strings.Contains(plain, "/./") || strings.Contains(plain, "//")
	switch inPath, inPlain := strings.Contains(path, r.Path), strings.Contains(plain, r.Path); {
	case inPath:
		return dotted
	case inPlain:
		return true
	default: // such as /x/..//socket.io: the path only appears when dots and slashes are resolved
		return dotted && strings.Contains(collapse(plain), strings.TrimSuffix(r.Path, "/"))
	}
}

// unescape decodes a path as lenient nodes do, which leave a malformed escape as it is and decode the others.
func unescape(path string) string {
	plain := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if v, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				c = byte(v)
				i += 2
			}
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// collapse takes the empty and dot segments out of a path.
func collapse(path string) string {
	var kept []string
	for seg := range strings.SplitSeq(path, "/") {
		switch seg {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, seg)
		}
	}
	return "/" + strings.Join(kept, "/")
}
