package dynamo_test

import (
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestClientIsTheSameForAllCalls(t *testing.T) {
	env := coldstart.FromMap(map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
	if a, b := dynamo.Client(env), dynamo.Client(env); a != b {
		t.Error("two clients")
	}
	if err := env.Err(); err != nil {
		t.Error(err)
	}
}

// TestClientCalls calls a server over HTTP. The client must sign the calls for the region and send
// them to the endpoint. DynamoDB Local sends error responses with a wrong checksum; the client must
// still return the typed error.
func TestClientCalls(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]bool{}
	var authorization string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr] = true
		authorization = r.Header.Get("Authorization")
		mu.Unlock()
		io.Copy(io.Discard, r.Body)
		body := `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no table"}`
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", strconv.Itoa(int(crc32.ChecksumIEEE([]byte("something else")))))
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, body)
	}))
	defer server.Close()
	env := coldstart.FromMap(map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": server.URL, "AWS_REGION": "eu-north-1"})
	const calls = 20
	for range calls {
		_, err := dynamo.Client(env).GetItem(t.Context(), &dynamodb.GetItemInput{
			TableName: aws.String("Nowhere"), Key: map[string]types.AttributeValue{"PK": &types.AttributeValueMemberS{Value: "x"}}})
		var notFound *types.ResourceNotFoundException
		if !errors.As(err, &notFound) {
			t.Fatalf("err = %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(authorization, "Credential=local/") || !strings.Contains(authorization, "/eu-north-1/dynamodb/") {
		t.Errorf("Authorization = %q", authorization)
	}
	// A connection returns to the pool a moment after the client has read the response, so some
	// calls open another connection.
	if len(connections) > calls/2 {
		t.Errorf("%d connections for %d calls: the client does not reuse them", len(connections), calls)
	}
}
