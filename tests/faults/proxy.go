package faults

import (
	"encoding/json"
	"net/http"

	"altinn.no/instanceapi/tests/awsproxy"
)

// Proxy returns a handler for an awsproxy that applies the injector's modes to the calls of a
// deployed binary. name returns the name of a call, or "" if the injector must not count or
// change the call. The modes are Rejected, Throttled, Lost, CrashBefore and CrashAfter. Each
// attempt of the binary's SDK is a call. A closed connection replaces the error, so the SDK may
// retry a call that was Rejected or Lost. A call that is Throttled gets one of the responses that
// its service has for it, in turn.
func (in *Injector) Proxy(name func(*awsproxy.Call) string) awsproxy.Handler {
	return func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		operation := name(c)
		if operation == "" {
			return send(c.Body)
		}
		mode, start := in.next(operation)
		if mode == Rejected || mode == CrashBefore {
			return nil, nil
		}
		if mode == Throttled {
			return in.throttle(c), nil
		}
		response, err := send(c.Body)
		switch mode {
		case CrashAfter:
			in.crash(start)
			return nil, err
		case Lost:
			return nil, err
		}
		return response, err
	}
}

// throttle returns the next response that throttles a call.
func (in *Injector) throttle(c *awsproxy.Call) *awsproxy.Response {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.throttled++
	all := throttling(c)
	return all[in.throttled%len(all)]
}

// throttling returns the responses that DynamoDB, S3 or EventBridge can send to throttle a call.
func throttling(c *awsproxy.Call) []*awsproxy.Response {
	if c.Operation == "" {
		slowDown := &awsproxy.Response{
			Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"application/xml"}},
			Body: []byte("<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
		}
		if c.Request.Method == http.MethodHead {
			slowDown.Body = nil
		}
		return []*awsproxy.Response{slowDown}
	}
	answer := func(status int, body map[string]any) *awsproxy.Response {
		text, err := json.Marshal(body)
		if err != nil {
			panic(err) // maps of texts have a JSON form
		}
		return &awsproxy.Response{Status: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: text}
	}
	failure := func(status int, code string) *awsproxy.Response {
		return answer(status, map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "slow down"})
	}
	all := []*awsproxy.Response{
		failure(http.StatusBadRequest, "ThrottlingException"),
		failure(http.StatusBadRequest, "ProvisionedThroughputExceededException"),
		failure(http.StatusInternalServerError, "InternalServerError"),
	}
	var in struct {
		TransactItems []json.RawMessage
		RequestItems  json.RawMessage
	}
	if json.Unmarshal(c.Body, &in) != nil {
		return all
	}
	switch c.Operation {
	case "TransactWriteItems":
		reasons := make([]map[string]string, len(in.TransactItems))
		for n := range reasons {
			reasons[n] = map[string]string{"Code": "None"}
		}
		reasons[len(reasons)-1] = map[string]string{"Code": "ThrottlingError", "Message": "slow down"}
		all = append(all, answer(http.StatusBadRequest, map[string]any{
			"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "message": "cancelled", "CancellationReasons": reasons,
		}))
	case "BatchGetItem":
		all = append(all, answer(http.StatusOK, map[string]any{"Responses": map[string]any{}, "UnprocessedKeys": in.RequestItems}))
	case "BatchWriteItem":
		all = append(all, answer(http.StatusOK, map[string]any{"UnprocessedItems": in.RequestItems}))
	}
	return all
}
