package adapter_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func largePoll(t *testing.T, server *proc) error {
	clients := startClients(t)
	clients.do(nil, "connect", "c", server.url(), m{"transports": []any{"polling"}})
	clients.await("c", "connect", 1)
	v, err := clients.try(nil, "ask", "c", "size", strings.Repeat("x", 200_000))
	if err == nil && v != 200_000.0 {
		return fmt.Errorf("size %v", v)
	}
	return err
}

// handshake begins a polling session and returns its URL.
func handshake(server *proc, headers http.Header) (url string, answer *http.Response, err error) {
	url = server.url() + "/socket.io/?EIO=4&transport=polling"
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	r.Header = headers
	if answer, err = http.DefaultClient.Do(r); err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	_, rest, ok := strings.Cut(string(b), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if err == nil && !ok {
		err = fmt.Errorf("handshake answered %d %q", answer.StatusCode, b)
	}
	return url + "&sid=" + sid, answer, err
}

func post(url string, body io.Reader) (status int, text string, err error) {
	a, err := http.Post(url, "text/plain;charset=UTF-8", body)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, string(b), err
}

func chunkedAboveLimit(_ *testing.T, server *proc) error {
	url, _, err := handshake(server, nil)
	if err != nil {
		return err
	}
	body := io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("x", 2_000_000))) // no length: chunked
	status, _, err := post(url, body)
	if err == nil && status != http.StatusRequestEntityTooLarge {
		return fmt.Errorf("status %d", status)
	}
	return err
}

func refusedOrigin(_ *testing.T, server *proc) error {
	for origin, want := range map[string]string{"http://bad.example": "", "http://good.example": "http://good.example"} {
		_, a, err := handshake(server, http.Header{"Origin": {origin}})
		if err != nil {
			return err
		}
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
			return fmt.Errorf("%s is answered %q", origin, got)
		}
	}
	return nil
}

func farewell(t *testing.T, server *proc) error {
	clients := startClients(t)
	const n = 40
	for i := range n {
		name := fmt.Sprint("c", i)
		clients.do(nil, "connect", name, server.url(), m{"transports": []any{"websocket"}})
		clients.await(name, "connect", 1)
	}
	server.do(nil, "disconnectSockets", true)
	lost := 0
	for i := range n {
		name := fmt.Sprint("c", i)
		if clients.await(name, "disconnect", 1)[0][0] != "io server disconnect" {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d of %d did not hear why", lost, n)
	}
	return nil
}

// fastClient uses a session as soon as it has its id.
func fastClient(_ *testing.T, server *proc) error {
	for i := range 400 {
		url, _, err := handshake(server, nil)
		if err != nil {
			return err
		}
		status, text, err := post(url, strings.NewReader("40"))
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("session %d: %d %s %w", i, status, text, err)
		}
	}
	return nil
}

// unreadable3 sends what is no payload and polls again.
func unreadable3(_ *testing.T, server *proc) error {
	url, err := handshake3(server)
	if err != nil {
		return err
	}
	_, _, _ = post(url, strings.NewReader("abc"))
	status, text, err := get(url)
	if err == nil && status != http.StatusBadRequest {
		return fmt.Errorf("the session goes on: %d %q", status, text)
	}
	return err
}

func get(url string) (status int, text string, err error) {
	client := http.Client{Timeout: patienceLimit / 10}
	a, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return a.StatusCode, string(b), err
}

// binaryPost sends a body of a type that EIO 4 does not have.
func binaryPost(_ *testing.T, server *proc) error {
	url, _, err := handshake(server, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patienceLimit / 10}
	a, err := client.Post(url, "application/octet-stream", strings.NewReader("4"))
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusBadRequest {
		err = fmt.Errorf("status %d", a.StatusCode)
	}
	return errors.Join(err, a.Body.Close())
}

func connects(t *testing.T, server *proc) error { return alive(t, server) }

// endless3 names a length of thousands of millions for an empty packet.
func endless3(_ *testing.T, server *proc) error {
	url, err := handshake3(server)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patienceLimit / 10}
	body := "\x00" + strings.Repeat("\x02", 15) + "\xff"
	a, err := client.Post(url, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		return err
	}
	return a.Body.Close()
}
