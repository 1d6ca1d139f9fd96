package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/api"
	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/control"
)

// FuzzChange holds that whatever a change's path and body are, the cluster has only nodes that a configuration could have, the answer is
// JSON, and nothing changes where that is not a success.
func FuzzChange(f *testing.F) {
	for _, s := range []string{
		`PUT nodes/n3 {"url": "http://n3:3000", "weight": 2, "labels": {"v": "2"}}`, `PUT nodes/n1 {"url":"http://n2:3000"}`, `DELETE nodes/n1 `,
		`POST nodes/n1/drain {"deadline": "5m"}`, `POST nodes/n2/drain `, `DELETE nodes/n1/drain `, `PUT release {"label":"v","value":"2","share":"10%"}`,
		`DELETE release `, `PUT nodes/%2e%2e {"url":"http://h:1"}{}`, `PUT nodes/n1 {"URL":null,"weight":1e400}`, `POST nodes/n1/drain {"deadline":"-1ns"}`,
		`PUT nodes/n1 {"unknown":1}`, `PUT nodes/n3 {"url":"unix:///x"}`, `PUT nodes/n1 {"url":"http://h:1","weight":-1}`, `PUT nodes/a%2Fb/drain []`,
	} {
		request := strings.SplitN(s, " ", 3)
		f.Add(request[0], request[1], request[2])
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		q, err := http.NewRequest(method, "http://h/api/clusters/chat/"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		cfg := config.Cluster{Name: "chat", Path: "/socket.io/", Balance: config.LeastSessions, Nodes: []config.Node{
			{Name: "n1", URL: "http://n1:3000", Weight: 1}, {Name: "n2", URL: "http://n2:3000", Weight: 1, Labels: map[string]string{"v": "2"}},
		}}
		s := &site{nodes: control.NewNodes(cfg, func() {})}
		board := control.NewBoard(slog.New(slog.DiscardHandler))
		board.Add(s.nodes)
		before := describe(s.nodes)
		w := httptest.NewRecorder()
		api.New(api.Options{Board: board, Status: s.status, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, q)
		after := describe(s.nodes)
		if after != before && (w.Code != 200 || !slices.Contains([]string{"PUT", "POST", "DELETE"}, method)) {
			t.Errorf("%d, and %s became %s", w.Code, before, after)
		}
		if !json.Valid(w.Body.Bytes()) && w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		urls := map[string]bool{}
		for _, n := range s.nodes.List() {
			if _, err := config.NewNode(n.Name, n.URL, n.Weight, n.Labels); err != nil || urls[n.URL] {
				t.Errorf("%+v: %v", n, err)
			}
			urls[n.URL] = true
		}
	})
}

// describe is all of a cluster that a change may change.
func describe(nodes *control.Nodes) string {
	text, _ := json.Marshal(nodes.List())
	drains := ""
	for _, n := range nodes.Cluster.Nodes() {
		if n.Drains() {
			drains += " " + n.Name
		}
	}
	release, _ := json.Marshal(nodes.Release())
	return string(text) + drains + string(release)
}
