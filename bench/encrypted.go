//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/sidway/sidway/bench/load"
	"github.com/sidway/sidway/bench/report"
	"github.com/sidway/sidway/bench/rival"
)

// encrypted are works of clients that speak TLS. Tickets are off but for those that resume: a client that is to make a whole
// handshake each time has no use for them.
func encrypted() []report.Workload {
	return []report.Workload{
		overTLS("tlspoll64", "poll over TLS, 64 connections", load.Job{Kind: load.Poll, Conns: 64, TLS: load.Full}),
		overTLS("tlsframe200", "frame of 60 B over TLS, 200 tunnels", load.Job{Kind: load.Frame, Conns: 200, Size: frameSize, TLS: load.Full}),
		overTLS("tlsframe2000", "frame of 60 B over TLS, 2,000 tunnels", load.Job{Kind: load.Frame, Conns: 2000, Size: frameSize, TLS: load.Full}),
		overTLS("tlsconnect", "TLS, whole handshake + WebSocket connect + close", load.Job{Kind: load.Connect, Conns: 32, TLS: load.Full}),
		overTLS("tlsresume", "TLS, resumed by a ticket + WebSocket connect + close", load.Job{Kind: load.Connect, Conns: 32, TLS: load.Resume}),
		overTLS("tlsidle2000", "2,000 idle tunnels over TLS", load.Job{Kind: load.Idle, Conns: 2000, TLS: load.Full}),
	}
}

// overTLS is a work that no line without a proxy can do: the nodes speak plain HTTP.
func overTLS(name, title string, job load.Job) report.Workload {
	w := closed(name, title, job)
	w.Proxied = true
	return w
}

// certificate writes a certificate and its key into dir, of ECDSA with P-256, which nobody has signed.
func certificate(dir string, tickets bool) (*rival.TLS, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"bench.sidway.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	t := &rival.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Tickets: tickets}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	// nginx and HAProxy start as the user of the bench, so nobody else has to read the key.
	if err := os.WriteFile(t.Key, private, 0o600); err != nil {
		return nil, err
	}
	return t, os.WriteFile(t.Cert, append(public, private...), 0o600)
}

// resumptions refuses a sample whose connections were not made as the work has it.
func resumptions(w report.Workload, r load.Result) error {
	if w.Job.Kind != load.Connect || w.Job.TLS == "" {
		return nil
	}
	if want := map[string]int64{load.Resume: r.Ops}[w.Job.TLS]; r.Resumed != want {
		return fmt.Errorf("%d of %d connections were resumed, and %d should be", r.Resumed, r.Ops, want)
	}
	return nil
}
