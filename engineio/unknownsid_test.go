package engineio_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/engineio"
)

func TestIsUnknownSID(t *testing.T) {
	for _, c := range []struct {
		maker  string
		status int
		body   string
		want   bool
	}{
		{"Node and Go", 400, `{"code":1,"message":"Session ID unknown"}`, true},
		{"Rust", 400, `{"code":"1","message":"Session ID unknown"}`, true},
		{"Python", 400, `"Invalid session TO9gdy7dDtqtZNAYAAAB"`, true},
		{"Node, to a WebSocket", 400, "Session ID unknown", true},
		{"Bun", 400, `{"code":1,"message":"Unknown session ID"}`, true},
		{"another order and spaces", 400, " {\n \"message\" : \"no\", \"code\" : 1 }\r\n", true},
		{"a message that is cut", 400, `{"code":1,"message":"` + strings.Repeat("x", 1000), true},

		{"another status", 404, `{"code":1,"message":"Session ID unknown"}`, false},
		{"success", 200, "1", false},
		{"another code", 400, `{"code":3,"message":"Session ID unknown"}`, false},
		{"a longer code", 400, `{"code":10}`, false},
		{"a code inside", 400, `{"data":{"code":1}}`, false},
		{"no code", 400, `{"message":"Session ID unknown"}`, false},
		{"a code that is cut", 400, `{"code":1`, false},
		{"no JSON", 400, `{"code":1 1}`, false},
		{"an overlapping poll at Node", 400, "", false},
		{"another page", 400, "<html>Bad Request</html>", false},
		{"Bad request", 400, "Bad request", false},
		{"a list", 400, `[{"code":1}]`, false},
	} {
		if got := engineio.IsUnknownSID(c.status, []byte(c.body)); got != c.want {
			t.Errorf("%s: IsUnknownSID(%d, %q) = %v", c.maker, c.status, c.body, got)
		}
		body := []byte(c.body)
		if n := testing.AllocsPerRun(10, func() { engineio.IsUnknownSID(c.status, body) }); n != 0 {
			t.Errorf("%s: %v allocations", c.maker, n)
		}
	}
}

func FuzzIsUnknownSID(f *testing.F) {
	for _, body := range []string{`{"code":1,"message":"Session ID unknown"}`, `{"a":[{}],"code":"1"}`, `"Invalid session x"`, `Session ID unknown`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := engineio.IsUnknownSID(400, body)
		if engineio.IsUnknownSID(200, body) {
			t.Error("a success")
		}
		if got && !strings.Contains(string(body), "1") && !strings.Contains(strings.ToLower(string(body)), "session") && !strings.Contains(string(body), "\\") {
			t.Errorf("%q", body)
		}
	})
}
