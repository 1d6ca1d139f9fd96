package auth_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sidway/sidway/gateway/auth"
	"github.com/sidway/sidway/gateway/jwk"
)

// FuzzJWT holds that a gate lets in no token but one that golang-jwt, given the one algorithm and the key, takes as well, and whose
// claims nodes get as they stand there.
func FuzzJWT(f *testing.F) {
	s := signer{method: jwt.SigningMethodHS256, key: []byte(shared)}
	good := s.token(f, jwt.MapClaims{"sub": "ann", "exp": now.Add(time.Hour).Unix()})
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "ann"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for _, token := range []string{
		good, good + "A", good[:len(good)-1], none, "..", "a.b", strings.Repeat(".", 9000), s.token(f, jwt.MapClaims{"sub": []string{"ann"}, "exp": "1e400"}),
		s.token(f, jwt.MapClaims{"exp": -1e300, "nbf": 1e300}), s.token(f, jwt.MapClaims{}, "crit", "exp"), s.token(f, jwt.MapClaims{}, "kid", "other"),
	} {
		f.Add(token)
	}
	secret, err := jwk.Secret(shared)
	if err != nil {
		f.Fatal(err)
	}
	gate := auth.NewJWT(auth.JWTOptions{
		Keys: []jwk.Key{secret}, Required: true, Claims: []auth.Claim{{Name: "sub", Header: "X-User"}}, Now: func() time.Time { return now },
	})
	if v, _ := gate.Judge(&auth.Ask{Token: good}); v.Outcome != auth.Granted || v.Fields[0] != (auth.Field{Name: "X-User", Value: "ann"}) {
		f.Fatalf("a good token: %+v", v)
	}
	f.Fuzz(func(t *testing.T, token string) {
		v, later := gate.Judge(&auth.Ask{Token: token})
		if later != nil {
			t.Fatal("a shared secret's verdict comes later")
		}
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(shared), nil },
			jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithTimeFunc(func() time.Time { return now }))
		if v.Outcome == auth.Granted && err != nil {
			t.Fatalf("%q is let in: %v", token, err)
		}
		for _, field := range v.Fields {
			if v.Outcome == auth.Granted && (field.Name != "X-User" || strings.ContainsAny(field.Value, "\r\n\x00")) {
				t.Fatalf("nodes get %+v", field)
			}
		}
	})
}

// FuzzForward holds that whatever a server of forward-auth answers, the fields that nodes get have names that were asked for, and
// values of one line.
func FuzzForward(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nX-User: ann\r\n\r\n", "HTTP/1.1 200 OK\r\nX-User: ann\rX-Admin: 1\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-User: a\r\n b\r\nX-User: \x00\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 101 No\r\n\r\n", "HTTP/1.0 200\n\n", "HTTP/2.0 200\n\n", "", "HTTP/1.1 200 OK\r\nX-User: a\r\nX-User: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-User: a\x01b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		f.Add([]byte(answer))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, answer []byte) {
		served := make(chan struct{})
		go func() {
			defer close(served)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = conn.Write(answer)
		}()
		gate := auth.NewForward(auth.ForwardOptions{URL: "http://" + l.Addr().String(), Timeout: patience, Copy: []string{"X-User"}})
		defer gate.Close()
		v, later := gate.Judge(&auth.Ask{Method: "GET", Header: func(string) string { return "" }})
		if later != nil {
			v = later()
		}
		<-served
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\nX-User: ann\r\n\r\n")) && (v.Outcome != auth.Granted || len(v.Fields) != 1) {
			t.Fatalf("a good answer: %+v", v)
		}
		if v.Outcome == auth.Granted && !bytes.HasPrefix(answer, []byte("HTTP/")) {
			t.Fatalf("%q lets a client in", answer)
		}
		for _, field := range v.Fields {
			if field.Name != "X-User" || strings.ContainsAny(field.Value, "\r\n\x00") {
				t.Fatalf("nodes get %+v", field)
			}
		}
	})
}
