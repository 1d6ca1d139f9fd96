//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/bench/crowd"
	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// TestMain lets the test's own binary be the load, the nodes and the relay, as the command's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"load", "node", "relay", "crowd", "busy"}, os.Args[1]) {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// measured runs the command and returns what it wrote.
func measured(t *testing.T, args ...string) (dir string, r *report.Run) {
	t.Helper()
	dir = t.TempDir()
	o, err := parse(append(args, "-rounds", "1", "-seconds", "0.2", "-out", dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := measure(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if r, err = report.Load(filepath.Join(dir, o.kind()+".json")); err != nil {
		t.Fatal(err)
	}
	return dir, r
}

// TestSessionsAreFound drives HAProxy and nginx with the bench's own load: the stick table finds each session's node, the
// hash does not.
func TestSessionsAreFound(t *testing.T) {
	t.Parallel()
	dir, r := measured(t, "-only", "poll64", "-proxies", "direct,nginx-1,haproxy-1,floor")
	if len(r.Samples) != 4 || len(r.Failures) > 0 {
		t.Fatalf("%d samples, failures %q", len(r.Samples), r.Failures)
	}
	for _, s := range r.Samples {
		if s.Result.Ops == 0 || s.Result.Errors > 0 {
			t.Errorf("%s, %s: %+v", s.Workload, s.Proxy, s.Result)
		}
		if wrong := s.Result.Foreign > 0; wrong != (s.Proxy == "nginx-1") {
			t.Errorf("%s, %s: %d of %d at a wrong node", s.Workload, s.Proxy, s.Result.Foreign, s.Result.Ops)
		}
		if (s.CPU > 0) == (s.Proxy == rival.Direct) {
			t.Errorf("%s, %s: %v s of CPU", s.Workload, s.Proxy, s.CPU)
		}
	}
	page, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "page.md")
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-out", dir, "-page", file}); err != nil {
		t.Fatal(err)
	}
	if filled, err := os.ReadFile(file); err != nil || !bytes.Contains(filled, []byte("haproxy-1")) {
		t.Errorf("the page was not filled: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ args, problem string }{
		{"-only nothing", "no workload"},
		{"-proxies nobody", "no proxy"},
		{"-sidway /bin/sidway", "name=path"},
		{"-rounds -1", "negative"},
		{"more", "unknown argument"},
		{"-growth -only poll64", "no workload"},
		{"-growth -syscalls", "two runs"},
		{"-traffic -storm", "two runs"},
		{"-storm -floods", "two runs"},
		{"-storm -only poll64", "no workload"},
		{"-tls -only poll64", "no workload"},
		{"-tls -traffic", "two runs"},
		{"-storm -proxies direct,sidway", "-storm is for sidway, nginx, haproxy"},
		{"-floods -proxies nginx-2", "-floods is for sidway, haproxy"},
	} {
		o, err := parse(append(strings.Fields(c.args), "-out", t.TempDir()))
		if err == nil {
			err = (&bench{dir: t.TempDir()}).prepare(t.Context(), withBuild(o))
		}
		if err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

// TestNewerPrograms are forms of their families: those of a folder that holds the machine's own.
func TestNewerPrograms(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"nginx", "haproxy"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"-storm", "-tls -proxies nginx-2,nginx-new,haproxy-2,haproxy-new", "-proxies nginx,haproxy"} {
		o, err := parse(append(strings.Fields(args), "-newer", dir, "-out", t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		o.sidway = "sidway=/bin/true" // which is not started
		b := &bench{dir: t.TempDir()}
		if err := b.prepare(t.Context(), o); err != nil {
			t.Fatal(args, err)
		}
		for _, family := range []string{report.Nginx, report.HAProxy} {
			i := slices.IndexFunc(b.rivals, func(r *rival.Rival) bool { return r.Name == family+"-new" })
			if i < 0 || b.rivals[i].Program != filepath.Join(dir, family) || b.rivals[i].Family != family {
				t.Errorf("%s: no newer %s", args, family)
			}
		}
	}
}

// withBuild saves the time of a build, for options that are refused anyway.
func withBuild(o options) options {
	if o.sidway == "" {
		o.sidway = "sidway=/bin/false"
	}
	return o
}

func TestTurnsAreComplete(t *testing.T) {
	b := &bench{run: report.Run{Workloads: workloads()}, rivals: []*rival.Rival{nil}}
	for _, r := range rival.All("") {
		b.rivals = append(b.rivals, &r)
	}
	first := map[*rival.Rival]bool{}
	for round := range len(b.rivals) {
		turns := b.turns(round)
		for _, w := range b.run.Workloads {
			for _, r := range b.rivals {
				if !slices.ContainsFunc(turns, func(u turn) bool { return u.work == w && u.rival == r }) {
					t.Fatalf("round %d leaves %s out", round, w.Name)
				}
			}
		}
		if len(turns) != len(b.run.Workloads)*len(b.rivals) {
			t.Errorf("%d turns", len(turns))
		}
		first[turns[slices.IndexFunc(turns, func(u turn) bool { return u.work.Name == "poll64" })].rival] = true
	}
	if len(first) != len(b.rivals) {
		t.Errorf("only %d proxies came first in some round", len(first))
	}
}

// TestGrowth measures two of the sizes, by the floor, which needs no build.
func TestGrowth(t *testing.T) {
	t.Parallel()
	_, r := measured(t, "-growth", "-only", "poll-2000-nodes-64,idle-500-nodes-4", "-proxies", "floor")
	if len(r.Samples) != 2 || len(r.Failures) > 0 {
		t.Fatalf("%d samples, failures %q", len(r.Samples), r.Failures)
	}
	for _, s := range r.Samples {
		if idle := strings.HasPrefix(s.Workload, "idle"); s.Result.Errors > 0 || (s.Result.Ops == 0) != idle {
			t.Errorf("%s, %s: %+v", s.Workload, s.Proxy, s.Result)
		}
	}
	if text := r.Text(); !strings.Contains(text, "64 nodes") || !strings.Contains(text, "500 tunnels") {
		t.Error(text)
	}
	if o, err := parse([]string{"-growth"}); err != nil || o.proxies != rival.Sidway {
		t.Errorf("-growth alone measures %q, %v", o.proxies, err)
	}
}

// TestSizesAreComplete holds a run about growth to the sizes that the project has set itself.
func TestSizesAreComplete(t *testing.T) {
	list, series := growth()
	for _, s := range series {
		for i, p := range s.Points {
			j := slices.IndexFunc(list, func(w report.Workload) bool { return w.Name == p.Workload })
			if j < 0 {
				t.Fatalf("%s: nobody measures %s", s.Title, p.Workload)
			}
			w, want := list[j], [2]int{sessionSizes[min(i, 2)], nodes}
			if len(s.Points) == len(nodeSizes) {
				want = [2]int{sessionsKept, nodeSizes[i]}
			}
			if got := [2]int{w.Job.Conns, w.Nodes}; got != want {
				t.Errorf("%s: %v, want %v", s.Title, got, want)
			}
			if j := w.Job; j.Kind != "idle" && (j.Active > 0) == (j.Rate > 0) {
				t.Errorf("%s: %+v", s.Title, j)
			}
		}
	}
	b := &bench{run: report.Run{Workloads: list}, rivals: []*rival.Rival{nil}}
	there, back := b.sizes(0), b.sizes(1)
	slices.Reverse(back)
	if len(there) != len(list) || !slices.Equal(there, back) {
		t.Error("the second round does not go the other way")
	}
}

// TestCrowdsAreCompared holds runs without further options to the proxies and sizes that the project has set itself.
func TestCrowdsAreCompared(t *testing.T) {
	for flag, want := range map[string][2]int{"-storm": {2, 3}, "-floods": {2, 2}} {
		o, err := parse([]string{flag})
		if err != nil {
			t.Fatal(err)
		}
		list, err := chosen(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{len(list), len(split(o.proxies))}; got != want || o.rounds != 3 {
			t.Errorf("%s: %v works and proxies, %d rounds", flag, got, o.rounds)
		}
		for _, w := range list {
			if j := w.Crowd; j.Kind == crowd.Storm != (j.Limit == 0 && j.Work > 0) || w.Nodes != 3 || j.Seconds == 0 {
				t.Errorf("%s: %+v", w.Name, j)
			}
		}
	}
}

// TestTrafficThroughTheOthers has each kind of ordinary traffic go through nginx and HAProxy as it goes to a node.
func TestTrafficThroughTheOthers(t *testing.T) {
	t.Parallel()
	_, r := measured(t, "-traffic", "-only", "quarter64,postsplit64,page64,preflight64,malformed,unknown2000", "-proxies", "direct,nginx-1,haproxy-1")
	if len(r.Samples) != 18 || len(r.Failures) > 0 || !r.Ordinary {
		t.Fatalf("%d samples, failures %q", len(r.Samples), r.Failures)
	}
	for _, s := range r.Samples {
		if s.Result.Ops == 0 || s.Result.Errors > 0 || s.Span < s.Result.Elapsed/2 {
			t.Errorf("%s, %s: %+v", s.Workload, s.Proxy, s)
		}
	}
}

// TestTLSThroughTheOthers has nginx and HAProxy speak TLS as it is measured: the load refuses another version, cipher or curve.
func TestTLSThroughTheOthers(t *testing.T) {
	t.Parallel()
	_, r := measured(t, "-tls", "-only", "tlspoll64,tlsframe200,tlsconnect,tlsresume", "-proxies", "direct,nginx-1,haproxy-1")
	if len(r.Samples) != 8 || len(r.Failures) > 0 {
		t.Fatalf("%d samples, failures %q", len(r.Samples), r.Failures)
	}
	for _, s := range r.Samples {
		if s.Result.Ops == 0 || s.Result.Errors > 0 || (s.Result.Resumed > 0) != (s.Workload == "tlsresume") {
			t.Errorf("%s, %s: %+v", s.Workload, s.Proxy, s.Result)
		}
	}
	work := closed("", "", load.Job{Kind: load.Connect, TLS: load.Resume})
	if err := resumptions(work, load.Result{Ops: 2, Resumed: 1}); err == nil {
		t.Error("a connection that should have been resumed was not, and nobody minds")
	}
}

// TestTrafficIsComplete holds a run of ordinary traffic to what it is told beside, and rivals to what they can do.
func TestTrafficIsComplete(t *testing.T) {
	o, err := parse([]string{"-traffic"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := chosen(o)
	if err != nil || len(list) != len(plainWorkloads)+len(traffic()) {
		t.Fatalf("%d workloads, %v", len(list), err)
	}
	sidway, other := rival.Build("sidway", ""), rival.Floor("")
	b := &bench{run: report.Run{Workloads: list}, rivals: []*rival.Rival{nil, &sidway, &other}}
	for _, turn := range b.turns(0) {
		if turn.work.Own && turn.rival != &sidway {
			t.Errorf("%s goes through %v", turn.work.Name, turn.rival)
		}
		if w := turn.work; w.Beside != nil && (w.Beside.Seconds != w.Job.Seconds || w.Beside.Seconds == 0) {
			t.Errorf("%s: what comes beside it takes %v s", w.Name, w.Beside.Seconds)
		}
	}
	if want := len(list)*len(b.rivals) - 2; len(b.turns(0)) != want {
		t.Errorf("%d turns, want %d", len(b.turns(0)), want)
	}
	if o, err = parse([]string{"-syscalls"}); err == nil {
		_, err = chosen(o)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestWhatComesBesideIsToldApart lets two loads run at the same time.
func TestWhatComesBesideIsToldApart(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := closed("both", "both", load.Job{Kind: load.Poll, Conns: 2, Seconds: 0.2})
	w.Beside = &load.Job{Kind: load.Unknown, Conns: 3, Seconds: 0.2, Rate: 500}
	s, err := (&bench{dir: t.TempDir(), exe: exe, quick: true}).sample(t.Context(), nil, w)
	if err != nil || s.Beside == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	if s.Result.Open != 2 || s.Result.Ops == 0 || s.Beside.Open != 3 || s.Beside.Ops == 0 || s.Beside.Ops > 101 || s.Span < 0.2 {
		t.Errorf("%+v and %+v", s, *s.Beside)
	}
}

func TestParseCommands(t *testing.T) {
	text := "$99\r\n# Commandstats\r\ncmdstat_get:calls=3,usec=4,usec_per_call=1.33,rejected_calls=0,failed_calls=0\r\n" +
		"cmdstat_info:calls=2,usec=1\r\ncmdstat_set:calls=5,usec=1\r\n\r\n+OK\r\n"
	now, err := parseCommands(text)
	if err != nil || len(now) != 3 || now["get"] != 3 {
		t.Fatalf("%v, %v", now, err)
	}
	if since := now.less(commands{"get": 1, "set": 5}); len(since) != 1 || since["get"] != 2 {
		t.Errorf("%v", since)
	}
	for _, text := range []string{"", "# Commandstats\r\ncmdstat_get:calls=many,\r\n"} {
		if _, err := parseCommands(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestParsePerf(t *testing.T) {
	counts, err := parsePerf("109,,raw_syscalls:sys_enter,977422,100.00,,\n3,,syscalls:sys_enter_read,977422,100.00,,\n")
	if err != nil || len(counts) != 2 || counts["total"] != 109 || counts["read"] != 3 {
		t.Errorf("%v, %v", counts, err)
	}
	for _, text := range []string{"", "<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"} {
		if _, err := parsePerf(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
