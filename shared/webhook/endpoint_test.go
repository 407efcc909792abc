package webhook

import (
	"net/netip"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

func TestCheckEndpoint(t *testing.T) {
	good := []string{
		"https://example.com", "https://example.com/", "https://EXAMPLE.com/a/b?c=d%20e", "https://example.com:8443/x",
		"https://hooks.nav.no./x", "https://xn--bl-yia.no/x", "https://8.8.8.8/x", "https://[2606:4700:4700::1111]/x", "https://a_b.example.org/",
		"https://1.example.com/", "https://0x.example.com/", "https://example.com/" + strings.Repeat("a", MaxEndpointBytes-len("https://example.com/")),
	}
	for _, endpoint := range good {
		if err := CheckEndpoint(endpoint, false); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	bad := []string{
		"", "/x", "example.com", "https:", "https://", "https:///x", "https:example.com", "http://example.com/", "ftp://example.com/", "HTTP://example.com",
		"https://user@example.com/", "https://user:secret@example.com/", "https://example.com/#", "https://example.com/#x",
		"https://example.com:/x", "https://example.com:0/", "https://example.com:65536/", "https://example.com:080/", "https://example.com:x/",
		"https://exam ple.com/", "https://example.com/\n", "https://example.com\\@127.0.0.1/", "https://blå.no/", "https://example.com/å",
		"https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://printer.local/", "https://metadata.google.internal/",
		"https://intranet/", "https://a..b.com/", "https://-a.com/", "https://a-.com/", "https://" + strings.Repeat("a", 64) + ".com/", "https://*.example.com/",
		"https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://0.0.0.0/", "https://192.168.1.1:443/", "https://100.64.0.1/",
		"https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.0.1./", "https://0X7F.0.0.1/",
		"https://8.8.8.08/", "https://134744072/", "https://010.8.8.8/", "https://example.0x/", "https://1.2.3/", "https://256.256.256.256/",
		"https://[::1]/", "https://[::]/", "https://[::ffff:169.254.169.254]/", "https://[::ffff:8.8.8.8]/", "https://[64:ff9b::a9fe:a9fe]/",
		"https://[2002:a9fe:a9fe::1]/", "https://[2001:0:a9fe:a9fe::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[2606:4700::1%25eth0]/",
		"https://[fd00::1]/", "https://[::127.0.0.1]/", "https://[::1", "https://example.com/%zz",
		"https://%6c%6fcalhost/", "https://127.0.0.1%2f@example.com/",
		"https://example.com/" + strings.Repeat("a", MaxEndpointBytes),
	}
	for _, endpoint := range bad {
		if err := CheckEndpoint(endpoint, false); !fault.Is(err, fault.Invalid) || !fault.HasCode(err, "endpoint-invalid") {
			t.Errorf("%s: got %v", endpoint, err)
		}
	}
}

// TestInsecureEndpoints checks what a local system accepts in addition: loopback, and nothing else.
func TestInsecureEndpoints(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://localhost:8090/x": true, "http://127.0.0.1:8090/": true, "https://127.0.0.2/": true, "http://[::1]:80/": true, "https://example.com/": true,
		"http://example.com/": false, "http://10.0.0.1/": false, "http://169.254.169.254/": false, "http://0.0.0.0/": false, "http://2130706433/": false,
		"http://localhost.example.com/": false, "ftp://localhost/": false, "http://user@localhost/": false,
	} {
		if err := CheckEndpoint(endpoint, true); (err == nil) != want {
			t.Errorf("%s: got %v", endpoint, err)
		}
	}
}

func TestPublicAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "223.255.255.255": true,
		"2606:4700:4700::1111": true, "2a00:1450::1": true, "2001:200::1": true,
		"0.1.2.3": false, "10.255.255.255": false, "100.64.0.0": false, "127.255.255.255": false, "169.254.169.254": false, "172.16.0.0": false,
		"172.31.255.255": false, "192.0.0.1": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false,
		"198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::8.8.8.8": false, "::ffff:8.8.8.8": false, "::ffff:127.0.0.1": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false,
		"100::1": false, "2001::1": false, "2001:1ff::1": false, "2001:db8::1": false, "2002:808:808::1": false, "3fff::1": false, "4000::1": false,
		"5f00::1": false, "fc00::1": false, "fdff::1": false, "fe80::1": false, "fec0::1": false, "ff02::1": false, "2606:4700::1%eth0": false,
	} {
		if got := PublicAddress(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if PublicAddress(netip.Addr{}) {
		t.Error("no address is public")
	}
}
