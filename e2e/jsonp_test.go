package e2e_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// rawSession speaks Engine.IO by single requests, as old browsers do where script elements are all that they have.
type rawSession struct {
	t    *testing.T
	http *http.Client
	base string // address and query but the sid
	eio  int
	sid  string
}

var (
	jsonpAnswer = regexp.MustCompile(`^___eio\[7\]\((".*")\);$`)
	openPacket  = regexp.MustCompile(`0\{.*?\\?"sid\\?":\\?"([^"\\]+)`)
)

func openRaw(t *testing.T, s *site, eio int) *rawSession {
	t.Helper()
	r := &rawSession{t: t, http: browser(t), eio: eio, base: fmt.Sprintf("%s/socket.io/?EIO=%d&transport=polling&j=7&b64=1", s.front.url(), eio)}
	payload := r.poll()
	m := openPacket.FindStringSubmatch(payload)
	if m == nil {
		t.Fatalf("no open packet in %q", payload)
	}
	r.sid = m[1]
	return r
}

func (r *rawSession) url() string {
	if r.sid == "" {
		return r.base
	}
	return r.base + "&sid=" + r.sid
}

// poll returns the payload of one script.
func (r *rawSession) poll() string {
	r.t.Helper()
	p := fetch(r.t, r.http, request(r.t, http.MethodGet, r.url(), nil))
	m := jsonpAnswer.FindStringSubmatch(p.body)
	if p.status != 200 || m == nil {
		r.t.Fatalf("poll: status %d, %q", p.status, p.body)
	}
	var payload string
	if err := json.Unmarshal([]byte(m[1]), &payload); err != nil {
		r.t.Fatalf("poll: %q: %v", p.body, err)
	}
	return payload
}

// post sends one packet as the form field d; backslashes of line ends are doubled, as the library's client does.
func (r *rawSession) post(packet string) {
	r.t.Helper()
	payload := packet
	if r.eio == 3 {
		payload = strconv.Itoa(len(utf16.Encode([]rune(packet)))) + ":" + packet
	}
	form := url.Values{"d": {strings.ReplaceAll(payload, `\n`, `\\n`)}}.Encode()
	q := request(r.t, http.MethodPost, r.url(), strings.NewReader(form))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p := fetch(r.t, r.http, q); p.status != 200 || p.body != "ok" {
		r.t.Fatalf("POST: status %d, %q", p.status, p.body)
	}
}

// pollUntil polls until one payload holds what is wanted, and answers the node's pings meanwhile.
func (r *rawSession) pollUntil(want string) string {
	r.t.Helper()
	for {
		payload := r.poll()
		if strings.Contains(payload, want) {
			return payload
		}
		if payload == "2" {
			r.post("3")
		}
	}
}

// jsonpCases are what TestJSONP runs, and docs/compatibility.md tells.
var jsonpCases = []struct {
	kind kind
	eio  int
}{{node48, 4}, {node48, 3}, {node25, 3}, {nodeGo, 4}, {nodeGo, 3}}

func TestJSONP(t *testing.T) {
	for _, c := range jsonpCases {
		t.Run(fmt.Sprintf("EIO %d on %s", c.eio, c.kind), func(t *testing.T) {
			s := startSite(t, pings{}, c.kind, c.kind)
			r := openRaw(t, s, c.eio)
			if c.eio == 4 {
				r.post("40")
			}
			r.pollUntil(`["hello",`)
			for seq := range 12 {
				text := fmt.Sprintf("message %d: é, 100 %% + = ; done", seq)
				sum := sha1.Sum([]byte(text))
				head := fmt.Sprintf(`{"seq":%d,"sum":"%s","late":0}`, seq, hex.EncodeToString(sum[:])[:16])
				r.post(fmt.Sprintf(`42%d["echo",%s,%q]`, 100+seq, head, text))
				answer := r.pollUntil(fmt.Sprintf("43%d[", 100+seq))
				if !strings.Contains(answer, text) {
					t.Errorf("message %d came back as %q", seq, answer)
				}
			}
			after := statsOf(t, s.nodes)
			report{}.messageFlaws(after).check(t)
			if received := after[0].Received + after[1].Received; received != 12 {
				t.Errorf("the nodes received %d messages, want 12", received)
			}
			if !s.front.alternated([]session{{SIDs: []string{r.sid}}}) {
				t.Error("the session's requests did not go to both replicas")
			}
			r.post("1")
			s.checkAllLeft(t)
			s.checkEncrypted(t)
		})
	}
}

// A client that goes away during a poll ends the poll at its node, which then ends the session long before its pings would.
func TestAbandonedPoll(t *testing.T) {
	s := startSite(t, pings{}, node48)
	r := openRaw(t, s, 4)
	r.post("40")
	r.pollUntil(`["hello",`)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		a, err := r.http.Do(request(t, http.MethodGet, r.url(), nil).WithContext(ctx))
		if err == nil {
			_ = a.Body.Close()
		}
		gone <- err
	}()
	eventually(t, "the poll waits at a replica", func() bool {
		inFlight := 0
		for _, replica := range s.replicas {
			inFlight += replica.metric(t, `sidway_leases{cluster="chat",node="n1"}`)
		}
		return inFlight == 1
	})
	leave()
	if err := <-gone; err == nil {
		t.Error("the abandoned poll was answered")
	}
	s.checkAllLeft(t)
	if closes := s.nodes[0].stats(t).Closes; closes["transport error"]+closes["transport close"] != 1 {
		t.Errorf("the node's session ended by %v", closes)
	}
}
