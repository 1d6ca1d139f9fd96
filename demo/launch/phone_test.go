package launch_test

import (
	"net"
	"testing"

	"github.com/sidway/sidway/demo/launch"
)

func TestPhoneURL(t *testing.T) {
	own := []net.Addr{
		&net.IPNet{IP: net.IPv6loopback}, &net.IPNet{IP: net.IPv4(127, 0, 0, 1)}, &net.IPNet{IP: net.IPv4(169, 254, 1, 1)},
		&net.IPNet{IP: net.ParseIP("fd00::1")}, &net.IPNet{IP: net.IPv4(192, 168, 0, 7)}, &net.IPNet{IP: net.IPv4(172, 17, 0, 1)},
	}
	for listens, want := range map[string]string{
		"127.0.0.1:8080": "", "[::1]:8080": "", "[::]:8080": "http://192.168.0.7:8080", "0.0.0.0:81": "http://192.168.0.7:81",
		"10.0.0.3:8080": "http://10.0.0.3:8080", "[fd00::2]:8080": "http://[fd00::2]:8080",
	} {
		a, err := net.ResolveTCPAddr("tcp", listens)
		if err != nil {
			t.Fatal(err)
		}
		if got := launch.PhoneURL(a, own); got != want {
			t.Errorf("%s: %q, not %q", listens, got, want)
		}
	}
	if got := launch.PhoneURL(&net.TCPAddr{IP: net.IPv4zero, Port: 80}, own[:3]); got != "" {
		t.Errorf("without a network: %q", got)
	}
}
