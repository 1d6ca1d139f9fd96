package config_test

import (
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

func TestVariablesInValuesAreExpanded(t *testing.T) {
	file := write(t, `
listen: ["${HOST}:80", '${HOST}:81']
admin: {listen: "127.0.0.1:${PORT}"}
affinity: {redis: "redis://:${SIDWAY_PASSWORD}${EMPTY_LOOKING}$${HOST}$$@${_h1}:1"}
access_log: ${LOG}
limits:
  queue: ${QUEUE}
clusters:
  - name: ${NAME}
    host: ${HOST}.example.com
    nodes:
      - {name: "${NAME}-1", url: "http://${HOST}:1"}
`)
	c, err := config.Load(file, env(map[string]string{
		"HOST": "a", "PORT": "9", "LOG": "true", "QUEUE": "7", "NAME": "chat", "_h1": "r",
		"SIDWAY_PASSWORD": "p${HOST}, x: y", "EMPTY_LOOKING": " ",
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ got, want any }{
		{c.Listen[0].Address + c.Listen[1].Address, "a:80a:81"},
		{c.Admin.Listen, "127.0.0.1:9"},
		{c.Affinity.Redis, "redis://:p${HOST}, x: y ${HOST}$$@r:1"},
		{c.AccessLog, true},
		{c.Limits.Queue, 7},
		{c.Clusters[0].Name + c.Clusters[0].Nodes[0].Name, "chatchat-1"},
		{c.Clusters[0].Host[0] + c.Clusters[0].Nodes[0].URL, "a.example.comhttp://a:1"},
	} {
		if v.got != v.want {
			t.Errorf("got %v, want %v", v.got, v.want)
		}
	}
}
