package tlsconn_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/tlsconn"
)

// sealer makes the records of a client of TLS 1.3 with TLS_AES_128_GCM_SHA256 (RFC 8446, 5.2 and 7.3), as crypto/tls would not.
type sealer struct {
	t      testing.TB
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// expand is HKDF-Expand-Label without a context.
func (s *sealer) expand(label string, n int) []byte {
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
	key, err := hkdf.Expand(sha256.New, s.secret, string(append(append(info, label...), 0)), n)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

func (s *sealer) use(secret []byte) {
	s.secret, s.seq = secret, 0
	block, err := aes.NewCipher(s.expand("key", 16))
	if err != nil {
		s.t.Fatal(err)
	}
	s.aead, _ = cipher.NewGCM(block)
	s.iv = s.expand("iv", 12)
}

func (s *sealer) seal(dst []byte, kind byte, content string) []byte {
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(content)+1+16))
	nonce := bytes.Clone(s.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^s.seq)
	s.seq++
	return s.aead.Seal(append(dst, head...), nonce, append([]byte(content), kind), head)
}

// flooded joins a loop with a client whose records the test makes.
func flooded(t *testing.T) (*rig, *sealer) {
	t.Helper()
	server, client := configs(t, tls.VersionTLS13)
	var keys bytes.Buffer
	client.KeyLogWriter = &keys
	r := start(t, server, nil)
	peer := tls.Client(r.peer, client)
	if err := peer.Handshake(); err != nil || peer.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("%v, suite %x", err, peer.ConnectionState().CipherSuite)
	}
	await(t, r.done)
	_, secret, _ := strings.Cut(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := lastWord(secret)
	if err != nil {
		t.Fatal(err)
	}
	s := &sealer{t: t}
	s.use([]byte(secret))
	return r, s
}

func lastWord(line string) (string, error) {
	line, _, _ = strings.Cut(line, "\n")
	b, err := hex.DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
	return string(b), err
}

// TestKeyUpdateFlood has a client ask for new keys all the time, and read nothing: what answers it costs no memory without end.
func TestKeyUpdateFlood(t *testing.T) {
	r, s := flooded(t)
	var flood []byte
	for range 2000 {
		for range 15 {
			flood = s.seal(flood, 22, "\x18\x00\x00\x01\x01")
			s.use(s.expand("traffic upd", 32))
		}
		flood = s.seal(flood, 23, "a")
	}
	go r.peer.Write(flood)
	if err := await(t, r.ended); err == nil {
		t.Error("ended without an error")
	}
	do(r.Loop, func() {
		if n, room := tlsconn.Sealed(r.stream); room > 64<<10 {
			t.Errorf("%d bytes wait in %d", n, room)
		}
	})
}

// TestManyRecordsLetOthersRun has a client send many records that say nearly nothing, with new keys between them: others have their turn meanwhile.
func TestManyRecordsLetOthersRun(t *testing.T) {
	r, s := flooded(t)
	const records = 4000
	var flood []byte
	for range records {
		for range 15 {
			flood = s.seal(flood, 22, "\x18\x00\x00\x01\x00")
			s.use(s.expand("traffic upd", 32))
		}
		flood = s.seal(flood, 23, "a")
	}
	go r.peer.Write(flood)
	turns := 0
	for end := time.Now().Add(patience); time.Now().Before(end); turns++ {
		read := 0
		do(r.Loop, func() { read = r.read })
		if read == records {
			break
		}
	}
	if turns < records/100 {
		t.Errorf("others had %d turns", turns)
	}
}
