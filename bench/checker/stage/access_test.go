//go:build linux

package stage

import "testing"

// Lines of both kinds of access logs tell which node has answered a request of which session, and how; other lines tell nothing.
func TestAccessLines(t *testing.T) {
	for line, want := range map[string]Answer{
		`{"level":"INFO","msg":"request","kind":"poll","cluster":"chat","node":"n3","sid":"WvEA…","status":200,"bytes":242}`: {Node: "n3", SID: "WvEA", Status: 200},
		`{"level":"INFO","msg":"request","kind":"handshake","cluster":"chat","status":503,"bytes":242}`:                      {Status: 503},
	} {
		if got, ok := sidwayAnswer(line); !ok || got != want {
			t.Errorf("%s: %+v", line, got)
		}
	}
	const head = `10.99.0.1:51918 [29/Nov/2026:01:15:03.232] clients nodes/`
	for line, want := range map[string]Answer{
		head + `n3 0/0/50/28/78 200 177 - - ---- 20/20/19/8/0 0/0 {JNlsqgt8KPtB5wAAAAAAAAAD} "GET /socket.io/?EIO=4 HTTP/1.1"`: {Node: "n3", SID: "JNlsqgt8KPtB5wAAAAAAAAAD", Status: 200},
		head + `<NOSRV> 0/5001/-1/-1/5001 503 217 - - sQ-- 20/20/19/8/0 0/0 {} "GET /socket.io/?EIO=4 HTTP/1.1"`:               {Status: 503},
	} {
		if got, ok := haproxyAnswer(line); !ok || got != want {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for _, line := range []string{"", "time=2026 level=INFO msg=serving", `{"level":"INFO","msg":"tunnel ended"}`} {
		if got, ok := sidwayAnswer(line); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got, ok := haproxyAnswer(`10.99.0.1:47090 [29/Nov/2026:01:14:56.470] clients clients/<NOSRV> -1/-1/-1/-1/0 400 0 - - CR-- 1/1/0/0/0 0/0 "<BADREQ>"`); ok {
		t.Errorf("%+v", got)
	}
}
