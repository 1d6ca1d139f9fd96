package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/config"
)

// secretFile writes a secret, as an orchestrator mounts it.
func secretFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretsAreReadFromFiles(t *testing.T) {
	redis, header := secretFile(t, "redis", "p@ss w/rd:%\n"), secretFile(t, "header", "Bearer s3cret\r\n")
	file := write(t, `
admin: {token: "file:${DIR}/token"}
affinity: {redis: "redis://me@h1:1/2", password: "file:`+redis+`"}
clusters:
  - name: chat
    request_headers: {set: {Authorization: "file:`+header+`"}}
    nodes: ["http://h:1"]
`)
	token := secretFile(t, "token", "first\n")
	environ := env(map[string]string{"DIR": filepath.Dir(token)})
	c, err := config.Load(file, environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ got, want string }{
		{c.Admin.Token, "first"},
		{c.Affinity.Redis, "redis://me:p%40ss%20w%2Frd%3A%25@h1:1/2"},
		{c.Affinity.String(), "redis://h1:1/2"},
		{c.Clusters[0].Headers.Set[0].Value, "Bearer s3cret"},
	} {
		if v.got != v.want {
			t.Errorf("got %q, want %q", v.got, v.want)
		}
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v", *c, *c), fmt.Sprint(c.InForce(), c.Clusters[0].InForce())} {
		if strings.Contains(shown, "first") || strings.Contains(shown, "s3cret") || strings.Contains(shown, "p@ss") || strings.Contains(shown, "p%40ss") {
			t.Error(shown)
		}
	}
	if err := os.WriteFile(token, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = config.Load(file, environ); err != nil || c.Admin.Token != "second" {
		t.Errorf("read again: %v", err)
	}
	vars := env(map[string]string{"SIDWAY_ADMIN_TOKEN": "file:" + token, "SIDWAY_NODES": "http://h:1"})
	if c, err = config.Load("", vars); err != nil || c.Admin.Token != "second" {
		t.Errorf("by a variable: %v", err)
	}
}

func TestErrorsNameTheFileOfASecret(t *testing.T) {
	empty, torn, large := secretFile(t, "empty", "\n"), secretFile(t, "torn", "hidden\nhidden"), secretFile(t, "large", strings.Repeat("hidden", 20000))
	dir := t.TempDir()
	for text, want := range map[string]string{
		"admin: {token: 'file:'}":                                                "admin.token: the file's name is missing; write it as file:/run/secrets/name",
		"admin: {token: 'file:/no/no'}":                                          `admin.token: "/no/no" cannot be read: no such file or directory`,
		fmt.Sprintf("admin: {token: 'file:%s'}", dir):                            fmt.Sprintf("admin.token: %q is not a file; write the file that holds the secret", dir),
		fmt.Sprintf("admin: {token: 'file:%s'}", empty):                          fmt.Sprintf("admin.token: %q is empty; it must hold the secret", empty),
		fmt.Sprintf("admin: {token: 'file:%s'}", large):                          fmt.Sprintf("admin.token: %q has more than 64 KiB, so it hardly is a secret", large),
		fmt.Sprintf("admin: {token: 'file:%s'}", torn):                           "admin.token: a token takes only letters, digits and -._~+/; make one by: openssl rand -hex 16",
		fmt.Sprintf("affinity: {redis: 'redis://h', password: 'file:%s'}", torn): "affinity.password: the value holds a line break or another control character; write it on one line",
		"affinity: {password: hidden}":                                           "affinity.password: there is no Redis that it could be for; write affinity.redis too",
		"affinity: {redis: 'redis://:a@h', password: hidden}":                    "affinity.password: the URL has a password too; take one of the two out",
		"affinity: {redis: 'redis://h', password: ''}":                           "affinity.password: the password is empty; write it, or leave the key out",
	} {
		_, err := config.Load(write(t, text+"\n"+good), none)
		if err == nil || !strings.HasSuffix(err.Error(), ":1: "+want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}
