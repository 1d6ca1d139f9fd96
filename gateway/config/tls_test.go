package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/config"
	"github.com/sidway/sidway/gateway/keyfile/keyfiletest"
)

// sslFiles writes what /etc/ssl has in the samples of settings, and returns the directory.
func sslFiles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	a := keyfiletest.NewAuthority(t, "test")
	a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}}).Write(t, dir, "a")
	keyfiletest.File(t, dir, "clients.pem", a.PEM)
	keyfiletest.File(t, dir, "nodes.pem", a.PEM)
	keyfiletest.File(t, dir, "acme-ca.pem", a.PEM)
	return dir
}

func TestTLS(t *testing.T) {
	dir := sslFiles(t)
	both := keyfiletest.File(t, dir, "both.pem", read(t, dir, "a.pem"), read(t, dir, "a.key"))
	cert, key := filepath.Join(dir, "a.pem"), filepath.Join(dir, "a.key")
	got, err := config.Load(write(t, fmt.Sprintf(`
tls:
  certificates: [{cert: %s, key: %s}, {cert: %s}, %s, "%s;key=%s"]
  min_version: "1.3"
  client_ca: %s
`, cert, key, both, both, cert, key, cert)+good+"listen: ':443;tls'\n"), none)
	if err != nil {
		t.Fatal(err)
	}
	one, other := config.Certificate{Cert: cert, Key: key}, config.Certificate{Cert: both, Key: both}
	want := config.TLS{Certificates: []config.Certificate{one, other, other, one}, MinVersion: "1.3", ClientCA: cert, ClientAuth: "require", ACME: config.Default().TLS.ACME}
	if !reflect.DeepEqual(got.TLS, want) {
		t.Errorf("got  %+v\nwant %+v", got.TLS, want)
	}
	for _, s := range got.InForce() {
		if want := strings.Join([]string{one.String(), both, both, one.String()}, ", "); s.Key == "tls.certificates" && s.Value != want {
			t.Errorf("got  %s\nwant %s", s.Value, want)
		}
	}
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each mistake with a certificate is told where it is, and says what to mend. A replica serves on with one that has ended.
func TestTLSProblems(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	a := keyfiletest.NewAuthority(t, "signer")
	ended := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	one := a.Issue(t, keyfiletest.Request{Names: []string{"a.example.com"}})
	one.Write(t, dir, "a")
	a.Issue(t, keyfiletest.Request{Names: []string{"10.0.0.1"}}).Write(t, dir, "b")
	a.Issue(t, keyfiletest.Request{Names: []string{"old.example.com"}, From: ended.AddDate(-1, 0, 0), To: ended}).Write(t, dir, "old")
	a.Issue(t, keyfiletest.Request{From: ended.AddDate(100, 0, 0), To: ended.AddDate(101, 0, 0)}).Write(t, dir, "new")
	keyfiletest.File(t, dir, "wrong.pem", a.PEM, one.Cert)
	keyfiletest.File(t, dir, "secret.key", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	keyfiletest.File(t, dir, "broken.key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	keyfiletest.File(t, dir, "broken.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	keyfiletest.File(t, dir, "empty")
	keyfiletest.File(t, dir, "der", []byte{0x30, 0x82, 1, 2})
	keyfiletest.File(t, dir, "ticket", make([]byte, 32))
	keyfiletest.File(t, dir, "large", bytes.Repeat([]byte{'x'}, 1<<20+1))
	absent := `cannot be read: no such file or directory; it is seen from the working directory, "` + here + `"`
	for settings, want := range map[string]string{
		"certificates: [{cert: a.pem, key: a.key}]":             "",
		"certificates: {cert: a.pem, key: a.key}":               "",
		"certificates: []\nclient_ca: a.pem":                    "",
		"certificates: [{cert: none, key: a.key}]":              `2: tls.certificates[0].cert: "none" ` + absent,
		"certificates: [{cert: a.pem, key: none}]":              `2: tls.certificates[0].key: "none" ` + absent,
		"certificates: [{key: a.key}]":                          "2: tls.certificates[0].cert: this is missing; write the certificate's file, as {cert: /etc/ssl/a.pem, key: /etc/ssl/a.key}",
		"certificates: [a.pem]":                                 `2: tls.certificates[0]: this is missing, and "a.pem" holds no key either; write the file of the key`,
		"certificates: [{cert: a.pem}]":                         `2: tls.certificates[0].key: this is missing, and "a.pem" holds no key either; write the file of the key`,
		"certificates: ['a.pem;a.key']":                         `2: tls.certificates[0]: "a.key" is not understood behind the certificate; write it as /etc/ssl/a.pem;key=/etc/ssl/a.key`,
		"certificates: ['']":                                    "2: tls.certificates[0]: the name is empty; write a file's, or leave the key out",
		"certificates: [{cert: a.pem, key: b.key}]":             `2: tls.certificates[0].key: "b.key" does not fit the certificate of a.example.com; give the key that belongs to this certificate`,
		"certificates: [{cert: b.pem, key: a.key}]":             `2: tls.certificates[0].key: "a.key" does not fit the certificate of 10.0.0.1; give the key that belongs to this certificate`,
		"certificates: [{cert: wrong.pem, key: a.key}]":         `2: tls.certificates[0].key: "a.key" fits the certificate of a.example.com, which is number 2 in its file; write the server's own first there, and then those who signed it`,
		"certificates: [{cert: a.key, key: a.pem}]":             `2: tls.certificates[0].cert: "a.key" holds a key, and no certificate; are the two exchanged? 2: tls.certificates[0].key: "a.pem" holds a certificate, and no key; are the two exchanged?`,
		"certificates: [{cert: broken.pem, key: a.key}]":        `2: tls.certificates[0].cert: "broken.pem" holds a certificate that cannot be read: x509: malformed certificate`,
		"certificates: [{cert: a.pem, key: secret.key}]":        `2: tls.certificates[0].key: "secret.key" holds a key with a passphrase, for which nobody can be asked; write it without one by: openssl pkey -in FILE -out FILE`,
		"certificates: [{cert: a.pem, key: broken.key}]":        `2: tls.certificates[0].key: "broken.key" holds a key that cannot be read; write it again by: openssl pkey -in FILE -out FILE`,
		"certificates: [{cert: empty, key: empty}]":             `2: tls.certificates[0].cert: "empty" holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE----- 2: tls.certificates[0].key: "empty" holds no key in PEM, which begins with -----BEGIN PRIVATE KEY-----`,
		"certificates: [{cert: der, key: der}]":                 `2: tls.certificates[0].cert: "der" is not PEM but DER; convert it by: openssl x509 -inform der 2: tls.certificates[0].key: "der" is not PEM but DER; convert it by: openssl pkey -inform der`,
		"certificates: [{cert: ., key: /dev/null}]":             `2: tls.certificates[0].cert: "." cannot be read: it is not a file 2: tls.certificates[0].key: "/dev/null" cannot be read: it is not a file`,
		"client_ca: large":                                      `2: tls.client_ca: "large" cannot be read: it is larger than a megabyte`,
		"client_ca: a.key":                                      `2: tls.client_ca: "a.key" holds a private key; write the file with the certificates of those who sign, which begins with -----BEGIN CERTIFICATE-----`,
		"client_auth: require":                                  "2: tls.client_auth: it is for client_ca, and there is none; write client_ca too, the file of those who sign clients' certificates",
		"client_auth: none\nclient_ca: a.pem":                   `2: tls.client_auth: "none" is unknown; write one of require, optional`,
		"min_version: 1.1":                                      `2: tls.min_version: "1.1" is unknown; did you mean 1.2?`,
		"certificates: [a.key, {cert: old.pem, key: old.key}]":  `2: tls.certificates[0]: "a.key" holds a key, and no certificate; are the two exchanged?`,
		"certificates:\n  - {cert: old.pem, key: old.key}":      `serves; 3: tls.certificates[0].cert: "old.pem" has ended on 2026-01-02 03:04 UTC, so clients refuse it; renew the certificate of old.example.com`,
		"certificates:\n  - {cert: new.pem, key: new.key}":      `serves; 3: tls.certificates[0].cert: "new.pem" begins only on 2126-01-02 03:04 UTC, so clients refuse it: is the clock right?`,
		"acme: {domains: [a.example.com], storage: .}":          "",
		"acme: {domains: [a.example.com]}":                      "2: tls.acme.storage: this is missing; write a directory, as /var/lib/sidway/acme: authorities give only a few certificates a week for the same name",
		"acme: {domains: [a.example.com], storage: redis}":      "2: tls.acme.storage: there is no Redis; write affinity.redis too, or a directory",
		"acme: {domains: [a.example.com], storage: a.pem}":      `2: tls.acme.storage: "a.pem" is a file, not a directory`,
		"acme: {domains: [a.example.com], storage: /none/acme}": `2: tls.acme.storage: "/none" cannot be read: no such file or directory`,
		"acme: {domains: ['*.example.com'], storage: .}":        `2: tls.acme.domains: "*.example.com": for a name with * authorities ask the DNS (DNS-01), which sidway does not do; name each host, or obtain it otherwise and write its files in certificates`,
		"acme: {domains: [10.0.0.1, ''], storage: .}":           `2: tls.acme.domains[0]: "10.0.0.1" is an address; write a host's name 2: tls.acme.domains[1]: the name is empty; write a host, as chat.example.com`,
		"acme: {email: ops@example.com}":                        "2: tls.acme.domains: there are none, so that nothing is obtained; write the hosts, as [chat.example.com]",
		"acme: {email: ops}":                                    `2: tls.acme.email: "ops" is no address for mail; write it as ops@example.com`,
		"acme: {directory: 'http://ca'}":                        `2: tls.acme.directory: "http://ca" is not an ACME directory's URL; write it as https://acme-v02.api.letsencrypt.org/directory`,
		"acme: {directory: 'https://me:secret@ca'}":             "2: tls.acme.directory: a directory takes no user and password; write eab_kid and eab_hmac for an account",
		"acme: {challenges: [dns-01]}":                          `2: tls.acme.challenges: "dns-01" is unknown; write one of http-01, tls-alpn-01`,
		"acme: {eab_kid: k}":                                    "2: tls.acme: eab_kid and eab_hmac belong together; write both, or none",
		"acme: {eab_kid: 'k k', eab_hmac: 'sec ret'}":           "2: tls.acme.eab_kid: this is no key's name; write it as the authority tells it 2: tls.acme.eab_hmac: this is no key in base64url; write it as the authority tells it",
		"tickets: off":              "",
		"tickets: own":              "",
		"tickets: [ticket, ticket]": "",
		"tickets: [ticket, off]":    "2: tls.tickets: off stands alone; take it out, or all others",
		"tickets: redis":            "2: tls.tickets: there is no Redis; write affinity.redis too, or own, or files",
		"tickets: on":               `2: tls.tickets: "on" ` + absent,
		"tickets: empty":            `2: tls.tickets: "empty" has 0 bytes, and a key is made of at least 32 that nobody can guess; make one by: openssl rand -out FILE 80`,
		"certificates:\n  - {cert: a.pem, key: a.key, ca: b}\n": "3: tls.certificates[0].ca: unknown key; the keys here are cert, key",
	} {
		file := write(t, "tls:\n  "+strings.ReplaceAll(settings, "\n", "\n  ")+"\n"+good)
		if strings.Contains(settings, "certificates:") && !strings.Contains(settings, "[]") || strings.Contains(settings, "domains:") {
			file = write(t, "tls:\n  "+strings.ReplaceAll(settings, "\n", "\n  ")+"\n"+good+"listen: ':443;tls'\n")
		}
		_, err := config.CheckWith(file, none, nil)
		var got string
		if err != nil {
			got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":", ""), "\n", " ")
		}
		want, serves := strings.CutPrefix(want, "serves; ")
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", settings, got, want)
		}
		if _, err := config.Load(file, none); (err == nil) != (serves || want == "") {
			t.Errorf("%s: loaded: %v", settings, err)
		}
	}
}

// Replicas that share a Redis share the keys of tickets there, unless something else is said.
func TestTickets(t *testing.T) {
	key := keyfiletest.File(t, t.TempDir(), "key", make([]byte, 48))
	for vars, want := range map[string][]string{
		"": nil, "redis://h": {"redis"}, "redis://h redis": {"redis"}, "redis://h own": nil, "redis://h off": {"off"}, "redis://h " + key: {key}, " " + key + "," + key: {key, key},
	} {
		redis, tickets, _ := strings.Cut(vars, " ")
		got, err := config.Load(write(t, good), env(map[string]string{"SIDWAY_REDIS": redis, "SIDWAY_TLS_TICKETS": tickets}))
		if err != nil || !slices.Equal(got.TLS.Tickets, want) {
			t.Errorf("%s: %v %v, want %v", vars, got, err, want)
		}
	}
}

// What is read in another place than the file is told there.
func TestTLSOfTheEnvironment(t *testing.T) {
	dir := sslFiles(t)
	ended := time.Now().Add(-time.Hour)
	keyfiletest.NewAuthority(t, "x").Issue(t, keyfiletest.Request{To: ended, From: ended.Add(-time.Hour)}).Write(t, dir, "old")
	file := write(t, "tls: {certificates: ["+filepath.Join(dir, "a.pem")+";key="+filepath.Join(dir, "a.key")+"]}\n"+good+"listen: ':443;tls'\n")
	_, err := config.CheckWith(file, env(map[string]string{"SIDWAY_TLS_CERTIFICATES": dir + "/old.pem;key=" + dir + "/old.key"}), nil)
	if !regexp.MustCompile(`^SIDWAY_TLS_CERTIFICATES: tls.certificates\[0\].cert: ".*/old.pem" has ended on `).MatchString(fmt.Sprint(err)) {
		t.Error(err)
	}
}
