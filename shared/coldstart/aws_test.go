package coldstart

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

func TestAWS(t *testing.T) {
	lambda := map[string]string{"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
	tests := []struct {
		name                          string
		env                           map[string]string
		endpoint, region, id, session string
		missing                       string
		emulator                      bool
	}{
		{"lambda", lambda, "", "eu-north-1", "id", "t", "", false},
		{"nothing set", nil, "", "", "", "", "AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", false},
		{"secret missing", map[string]string{"AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "id"}, "", "r", "id", "", "AWS_SECRET_ACCESS_KEY", false},
		{"an empty endpoint means AWS", with(lambda, "AWS_ENDPOINT_URL", "", "AWS_ENDPOINT_URL_DYNAMODB", ""), "", "eu-north-1", "id", "t", "", false},
		{"one endpoint for all services", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566"}, "http://localhost:4566", localRegion, "local", "", "", true},
		{"the endpoint of the service takes precedence", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566", "AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:8000"},
			"http://localhost:8000", localRegion, "local", "", "", true},
		{"an emulator uses credentials that are set", with(lambda, "AWS_ENDPOINT_URL", "http://localhost:1"), "http://localhost:1", "eu-north-1", "id", "t", "", true},
		{"another service has the emulator", map[string]string{"AWS_ENDPOINT_URL_S3": "http://localhost:1"},
			"", "", "", "", "AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := FromMap(tt.env)
			cfg := env.AWS("DYNAMODB")
			if got := aws.ToString(cfg.BaseEndpoint); got != tt.endpoint {
				t.Errorf("endpoint = %q, want %q", got, tt.endpoint)
			}
			if cfg.Region != tt.region {
				t.Errorf("region = %q, want %q", cfg.Region, tt.region)
			}
			c, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil || c.AccessKeyID != tt.id || c.SessionToken != tt.session {
				t.Errorf("credentials = %q %q %v, want %q %q", c.AccessKeyID, c.SessionToken, err, tt.id, tt.session)
			}
			got := ""
			if err := env.Err(); err != nil {
				got = strings.TrimPrefix(err.Error(), "missing environment variables: ")
			}
			if got != tt.missing {
				t.Errorf("missing %q, want %q", got, tt.missing)
			}
			if env.UsesEmulator() != tt.emulator {
				t.Errorf("UsesEmulator = %v, want %v", env.UsesEmulator(), tt.emulator)
			}
		})
	}
}

func with(m map[string]string, pairs ...string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func TestErrNamesInvalidEndpoint(t *testing.T) {
	for _, v := range []string{"localhost:4566", "ftp://x", "http://", "://"} {
		env := FromMap(map[string]string{"AWS_ENDPOINT_URL_S3": v})
		env.AWS("S3")
		if err := env.Err(); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_S3 must be") {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestOneHTTPClientForAllServices(t *testing.T) {
	env := FromMap(map[string]string{"AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_S3": "http://localhost:1"})
	if env.AWS("DYNAMODB").HTTPClient != env.AWS("EVENTBRIDGE").HTTPClient {
		t.Error("two clients for AWS")
	}
	if env.AWS("DYNAMODB").HTTPClient == env.AWS("S3").HTTPClient {
		t.Error("an emulator shares the client that trusts only AWS")
	}
}

func TestTransport(t *testing.T) {
	env := FromMap(nil)
	if _, ok := env.newHTTPClient(false).(*http.Client); !ok {
		t.Errorf("%T is not frozen: each service would copy the client and its pool", env.newHTTPClient(false))
	}
	tr := awshttp.NewBuildableClient().GetTransport()
	configure(tr, env.roots(false))
	if tr.ResponseHeaderTimeout != responseHeaderTimeout || tr.TLSHandshakeTimeout != tlsHandshakeTimeout {
		t.Errorf("timeouts %v %v", tr.ResponseHeaderTimeout, tr.TLSHandshakeTimeout)
	}
	if tr.TLSClientConfig.MinVersion != tls.VersionTLS12 || tr.TLSClientConfig.RootCAs == nil {
		t.Error("TLS settings")
	}
}

// TestClientsTrust calls a server that has a self-signed certificate with each client.
func TestClientsTrust(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		env      map[string]string
		emulator bool
		trusts   bool
	}{
		{"AWS", nil, false, false},
		{"emulator", nil, true, false},
		{"AWS with a bundle", map[string]string{"AWS_CA_BUNDLE": bundle}, false, true},
		{"emulator with a bundle", map[string]string{"AWS_CA_BUNDLE": bundle}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			resp, err := FromMap(tt.env).httpClient(tt.emulator).Do(req)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != tt.trusts {
				t.Errorf("err = %v, want trust = %v", err, tt.trusts)
			}
		})
	}
	env := FromMap(map[string]string{"AWS_CA_BUNDLE": filepath.Join(t.TempDir(), "none")})
	env.httpClient(true)
	if err := env.Err(); err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") {
		t.Errorf("unreadable bundle: %v", err)
	}
}

func TestRecyclingClient(t *testing.T) {
	var mu sync.Mutex
	perConnection := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		perConnection[r.RemoteAddr]++
	}))
	defer server.Close()
	client := FromMap(nil).httpClient(true)
	for range 4 * requestsPerConnection {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if req.Close {
			t.Fatal("the client changed the caller's request")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(perConnection) != 4 {
		t.Errorf("requests per connection: %v, want 4 connections", perConnection)
	}
}

// TestAmazonRoots compares the embedded certificates with the fingerprints that Amazon Trust
// Services publishes. It fails two years before one of them expires.
func TestAmazonRoots(t *testing.T) {
	want := []string{
		"8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e", // Amazon Root CA 1
		"1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4", // Amazon Root CA 2
		"18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4", // Amazon Root CA 3
		"e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092", // Amazon Root CA 4
		"568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5", // Starfield Services Root Certificate Authority - G2
	}
	var got []string
	for rest := amazonRoots; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		name := cert.Subject.CommonName
		if err := cert.CheckSignatureFrom(cert); err != nil || !cert.IsCA {
			t.Errorf("%s is not self-signed: %v", name, err)
		}
		if time.Until(cert.NotAfter) < 2*365*24*time.Hour {
			t.Errorf("%s expires %v", name, cert.NotAfter)
		}
		sum := sha256.Sum256(block.Bytes)
		got = append(got, hex.EncodeToString(sum[:]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("fingerprints %q", got)
	}
}
