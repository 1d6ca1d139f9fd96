package page_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sidway/sidway/demo/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	page.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Result()
}

func TestEveryFileOfThePageIsThere(t *testing.T) {
	resp := get(t, "/")
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllSubmatch(body, -1) {
		if resp := get(t, "/"+string(m[1])); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", m[1], resp.StatusCode)
		}
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".js") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllSubmatch(text, -1) {
			if resp := get(t, "/"+string(m[1])); resp.StatusCode != http.StatusOK {
				t.Errorf("%s, of %s: %d", m[1], f.Name(), resp.StatusCode)
			}
		}
	}
	for _, path := range []string{"/none", "/page.go", "/../page.go", "/socket.io/"} {
		if resp := get(t, path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestNothingComesFromElsewhere(t *testing.T) {
	for _, path := range []string{"/", "/style.css", "/main.js", "/chat.js", "/messages.js", "/panel.js", "/compose.js", "/cluster.js", "/menu.js", "/events.js", "/guests.js", "/verdict.js"} {
		body, _ := io.ReadAll(get(t, path).Body)
		for _, m := range regexp.MustCompile(`(?:https?:)?//[a-z0-9.]+\.[a-z]+[^"' ]*`).FindAll(body, -1) {
			if string(m) != "http://www.w3.org/2000/svg" {
				t.Errorf("%s names %s", path, m)
			}
		}
	}
}

func TestTheClientIsTheOneOfTheTests(t *testing.T) {
	want, err := os.ReadFile("../../node_modules/socket.io-client/dist/socket.io.min.js")
	if err != nil {
		t.Fatalf("this test needs the modules of package.json: %v", err)
	}
	got, _ := io.ReadAll(get(t, "/socket.io.min.js").Body)
	if string(got) != string(want) {
		t.Error("socket.io.min.js is not the one of node_modules: copy it here")
	}
}

func TestLogs(t *testing.T) {
	if out, err := exec.Command("node", "--test", "testdata/log.test.mjs").CombinedOutput(); err != nil {
		t.Errorf("this test needs node: %v\n%s", err, out)
	}
}
