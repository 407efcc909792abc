package opcost

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/bench/capacity"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// env is a running system whose calls are recorded, and its callers.
type env struct {
	*runtime.System
	recorder *Recorder
	stored   *instancetable.Table // not through the recorder

	user, owner string // tokens
}

// party is the user of all measured operations.
const party = "50012"

// open starts a system with the given parameters of the template, or the defaults.
func open(ctx context.Context, parameters map[string]string) (*env, error) {
	s := &env{recorder: &Recorder{tables: map[string]capacity.Table{}}}
	var err error
	parameters = maps.Clone(parameters)
	if parameters == nil {
		parameters = map[string]string{}
	}
	parameters["WebhookInsecure"] = "true"
	if s.System, err = runtime.Start(ctx, runtime.Options{Between: s.recorder.Between, Parameters: parameters}); err != nil {
		s.close()
		return nil, err
	}
	s.recorder.direct = s.Dynamo
	s.stored = instancetable.New(s.Dynamo, "Instances", "Outbox")
	for _, name := range s.Template.Tables {
		if s.recorder.tables[name], err = describe(ctx, s.Dynamo, name); err != nil {
			s.close()
			return nil, err
		}
	}
	if s.user, err = s.Authenticator.User(issuer.User{ID: "1001", Party: party}, "", time.Hour); err == nil {
		s.owner, err = s.Authenticator.Owner("nav", "", time.Hour)
	}
	if err == nil {
		err = s.register(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// describe returns the part of a table's schema that determines its cost.
func describe(ctx context.Context, client *dynamodb.Client, name string) (capacity.Table, error) {
	out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return capacity.Table{}, err
	}
	keys := func(schema []types.KeySchemaElement) (names []string) {
		for _, key := range schema {
			names = append(names, *key.AttributeName)
		}
		return names
	}
	t := capacity.Table{Keys: keys(out.Table.KeySchema)}
	for _, index := range out.Table.GlobalSecondaryIndexes {
		t.Indexes = append(t.Indexes, capacity.Index{
			Name: *index.IndexName, Keys: keys(index.KeySchema), All: index.Projection.ProjectionType == types.ProjectionTypeAll,
			Attributes: index.Projection.NonKeyAttributes,
		})
	}
	return t, nil
}

// register registers the party and the applications.
func (s *env) register(ctx context.Context) error {
	// The user gets a fixed party number instead of a random one.
	_, err := s.Dynamo.PutItem(ctx, &dynamodb.PutItemInput{TableName: name("Parties"), Item: map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "OWNER#" + party},
	}})
	if err != nil {
		return err
	}
	for id, body := range map[string]string{app: registration + "}", ruledApp: registration + rules + "}"} {
		if _, err := s.send(ctx, request{as: s.owner, method: "PUT", path: "/storage/applications/" + id, body: body, want: 201}); err != nil {
			return err
		}
	}
	return nil
}

func name(table string) *string { return &table }

func (s *env) close() {
	if s.System != nil {
		s.Stop()
	}
	for _, proxy := range s.recorder.proxies {
		proxy.Close()
	}
}

// request is a request, and the expected status of its response.
type request struct {
	as, method, path  string
	contentType, body string // JSON when the type is empty
	header            [2]string
	want              int
}

// send sends a request and returns the response, if it is a JSON object.
func (s *env) send(ctx context.Context, q request) (map[string]any, error) {
	out := client.Request{Method: q.method, Path: strings.TrimPrefix(q.path, s.BaseURL), Token: q.as, Type: q.contentType, Body: q.body}
	if q.contentType == "" && q.body != "" {
		out.Type = "application/json"
	}
	if q.header[0] != "" {
		out = out.With(q.header[0], q.header[1])
	}
	response, err := client.Client{Base: s.BaseURL}.Do(ctx, out)
	if err != nil {
		return nil, err
	}
	if response.Status != q.want {
		return nil, fmt.Errorf("opcost: %s: %v, want %d", out, response, q.want)
	}
	return response.Object(), nil
}
