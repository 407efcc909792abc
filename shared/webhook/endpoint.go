package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
)

// CheckEndpoint checks the URL of an endpoint. It returns an Invalid fault, code
// "endpoint-invalid", unless the URL is absolute, with https and a public host. If insecure is set,
// it also accepts http and https on a loopback address, for local use.
//
// A name is checked again when a sender connects: see PublicAddress.
func CheckEndpoint(endpoint string, insecure bool) error {
	if len(endpoint) > MaxEndpointBytes {
		return invalidEndpoint("the URL may have at most %d bytes", MaxEndpointBytes)
	}
	for _, c := range []byte(endpoint) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return invalidEndpoint("percent-encode characters that a URL cannot contain, and write an international name in its xn-- form")
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return invalidEndpoint("use an absolute URL, such as https://example.com/events")
	}
	if u.User != nil {
		return invalidEndpoint("the URL must not contain a user name or password; every delivery is signed")
	}
	if strings.Contains(endpoint, "#") {
		return invalidEndpoint("the URL must not contain a fragment")
	}
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") {
		return invalidEndpoint("the port is missing after the colon")
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return invalidEndpoint("the port must be a number from 1 to 65535")
		}
	}
	if insecure && (u.Scheme == "http" || u.Scheme == "https") && loopback(host) {
		return nil
	}
	if u.Scheme != "https" {
		return invalidEndpoint("use https")
	}
	return checkHost(host)
}

func invalidEndpoint(format string, args ...any) error {
	return fault.New(fault.Invalid, "endpoint-invalid", "The endpoint cannot receive events: "+format+".", args...)
}

// loopback reports whether the host is localhost or a loopback address.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == "" && addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// privateSuffixes are the ends of names that never have a public address (RFC 6761, RFC 6762,
// RFC 8375, RFC 9476, and the reserved name internal).
var privateSuffixes = []string{"localhost", "local", "internal", "home.arpa", "onion", "alt", "invalid", "test", "example"}

// checkHost checks the host of an endpoint.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		if !PublicAddress(addr) {
			return invalidEndpoint("the address is not public")
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(name, ".")
	if last := labels[len(labels)-1]; isNumber(last) {
		return invalidEndpoint("write an IPv4 address as four decimal numbers without leading zeros")
	}
	if len(labels) < 2 || len(name) > 253 {
		return invalidEndpoint("use the full name of a public host")
	}
	for _, label := range labels {
		if !validLabel(label) {
			return invalidEndpoint("the name of the host is not valid")
		}
	}
	for _, suffix := range privateSuffixes {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return invalidEndpoint("use the name of a public host")
		}
	}
	return nil
}

// isNumber reports whether programs may read the last label of a host as a part of an IPv4 address:
// a decimal, octal or hexadecimal number.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// validLabel reports whether a label has one to 63 letters, digits, hyphens and underscores.
func validLabel(label string) bool {
	return label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
		strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// special are the ranges of the IANA registries of special-purpose addresses, and multicast. In
// IPv6 they lie within 2000::/3, because every other address of IPv6 is not public at all.
var special = parsePrefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// globalIPv6 is the range from which IPv6 addresses are assigned.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for n, text := range texts {
		prefixes[n] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// PublicAddress reports whether a sender may connect to the address. It accepts only addresses that
// a host on the Internet can have. It rejects loopback, private and link-local addresses, and every
// form of IPv6 that contains an IPv4 address: mapped, NAT64, 6to4 and Teredo.
func PublicAddress(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" || addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	for _, prefix := range special {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}
