package storage

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
)

// rawServer responds to GetItem with one write per request, as soon as the request has arrived. It
// is faster than net/http's server, so that a response often arrives before the client has finished
// sending.
type rawServer struct {
	listener    net.Listener
	connections atomic.Int64
}

func (s *rawServer) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.connections.Add(1)
		go func() {
			defer conn.Close()
			const response = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"
			for in := bufio.NewReader(conn); ; {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return
				}
				if _, err := io.WriteString(conn, response); err != nil {
					return
				}
			}
		}()
	}
}

// TestResponsesAreNotLost sends 50,000 calls without retries to a fast server, half of them over
// TLS. Every call must succeed, and the clients must keep their connections. net/http opens a spare
// connection if the next request comes before it has put the last connection back into its pool. It
// keeps the spare ones, so there are never more than the pool has room for, while every lost
// response costs one.
func TestResponsesAreNotLost(t *testing.T) {
	const calls, clients = 25_000, 2
	connections := int64(clients + awshttp.DefaultHTTPTransportMaxIdleConnsPerHost)
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificates.Certificate().Raw})
	if err := os.WriteFile(bundle, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			endpoint := fmt.Sprintf("%s://%s", scheme, listener.Addr())
			if scheme == "https" {
				listener = tls.NewListener(listener, &tls.Config{Certificates: certificates.TLS.Certificates, MinVersion: tls.VersionTLS12})
			}
			defer listener.Close()
			server := &rawServer{listener: listener}
			go server.serve()

			// The client for AWS itself: the one for emulators renews its connections.
			env := coldstart.FromMap(map[string]string{
				"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CA_BUNDLE": bundle,
			})
			client := dynamodb.NewFromConfig(env.AWS("DYNAMODB"), func(o *dynamodb.Options) {
				o.BaseEndpoint, o.Retryer, o.DisableValidateResponseChecksum = &endpoint, aws.NopRetryer{}, true
			})
			in := &dynamodb.GetItemInput{
				TableName: aws.String("Instances"),
				Key:       map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "1"}},
			}
			var failed atomic.Int64
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for range calls / clients {
						if _, err := client.GetItem(t.Context(), in); err != nil && failed.Add(1) == 1 {
							t.Errorf("the first error: %v", err)
						}
					}
				})
			}
			wg.Wait()
			if n := server.connections.Load(); failed.Load() > 0 || n > connections {
				t.Errorf("%d of %d calls failed, %d connections, want at most %d", failed.Load(), calls, n, connections)
			}
		})
	}
}
