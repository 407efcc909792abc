package leaks

// row is how to get a request of a route through, so that marks are sent both in requests that are granted and in those that
// are refused.
type row struct {
	user   bool     // sent by the user, else by the owner
	params []string // query parameters that the endpoint knows
	query  string   // those that a request has to have
	body   any      // JSON, or bytes as a string
	kind   string   // Content-Type
	own    []string // members of body, by JSON Pointer, and other places that are the client's own text
}

const jsonType = "application/json"

var (
	queryParams = []string{
		"appId", "org", "instanceOwnerId", "workflow.currentStep", "workflow.isCompleted", "status.isArchived", "status.isSoftDeleted", "label",
		"lastChangedDateTime", "createdDateTime", "dueDateTime", "visibleDateTime", "downloadConfirmed", "order", "size", "page",
	}
	feedParams = []string{"after", "workflow.currentStep", "size"}
	inline     = map[string]any{"formId": "a", "contentType": "text/plain", "fileName": "a.txt", "content": "YQ=="}
	creation   = map[string]any{
		"reportee": map[string]any{"ssn": person}, "labels": []any{"gr"}, "presentationField": "Melding", "dueDateTime": "2027-06-01T12:00:00Z",
		"visibleDateTime": "2027-05-01T12:00:00Z", "data": []any{inline},
	}
	patch        = map[string]any{"labels": []any{"gr"}, "presentationField": "Melding", "dueDateTime": nil, "visibleDateTime": "2027-05-01T12:00:00Z"}
	announcement = map[string]any{
		"fileName": "a.txt", "contentType": "text/plain", "size": 1.0, "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
	}
	registration = map[string]any{
		"title":     map[string]any{"nb": "Melding"},
		"dataTypes": []any{map[string]any{"formId": "a", "allowedContentTypes": []any{"text/plain"}, "schema": nil}},
		"workflow": map[string]any{
			"steps":       []any{map[string]any{"name": "FormFilling"}, map[string]any{"name": "Submit"}},
			"transitions": []any{map[string]any{"from": "FormFilling", "to": "Submit", "by": []any{"user"}}},
		},
	}
)

const (
	app      = "/{org}/{app}/instances"
	one      = app + "/{instanceOwnerId}/{instanceGuid}"
	stored   = "/storage/instances/{instanceOwnerId}/{instanceGuid}"
	register = "/storage/applications/{org}/{app}"
	data     = "/data/{dataGuid}"
)

// rows has every route of the template. A route without a row fails.
var rows = map[string]row{
	"POST " + app:                                {user: true, body: creation, kind: jsonType, own: []string{"/labels/0", "/presentationField", "/data/0/fileName"}},
	"GET " + one:                                 {user: true},
	"DELETE " + one:                              {user: true, params: []string{"hard"}},
	"POST " + one + "/undelete":                  {user: true},
	"PATCH " + one:                               {body: patch, kind: "application/merge-patch+json", own: []string{"/labels/0", "/presentationField"}},
	"POST " + one + "/data":                      {user: true, query: "formId=a", params: []string{"formId", "upload"}, body: "a", kind: "text/plain", own: []string{"file name", "parameter of Content-Type"}},
	"POST " + one + "/uploads":                   {user: true, params: []string{"formId"}, body: announcement, kind: jsonType, own: []string{"/fileName"}},
	"GET " + one + data:                          {user: true},
	"PUT " + one + data:                          {user: true, body: "b", kind: "text/plain", own: []string{"file name", "parameter of Content-Type"}},
	"DELETE " + one + data:                       {user: true},
	"GET " + one + "/validate":                   {user: true},
	"GET " + one + data + "/validate":            {user: true},
	"GET " + one + "/workflow":                   {user: true},
	"PUT " + one + "/workflow":                   {user: true, body: map[string]any{"currentStep": "Submit"}, kind: jsonType},
	"GET /storage/instances":                     {params: queryParams},
	"GET /storage/instances/{instanceOwnerId}":   {user: true, params: queryParams},
	"GET " + stored:                              {},
	"GET " + stored + "/events":                  {params: []string{"after", "size"}},
	"GET " + stored + data:                       {},
	"POST " + stored + data + "/confirmDownload": {},
	"POST " + stored + "/confirmDownload":        {},
	"GET " + register + "/events":                {params: feedParams},
	"GET /storage/docs":                          {},
	"GET /storage/docs/openapi.yaml":             {},
	"GET /storage/docs/redoc.js":                 {},
	"GET " + register:                            {},
	// What an owner registers is its own text too: it is shown to anybody with a token.
	"PUT " + register: {body: registration, kind: jsonType, own: []string{
		"/title/nb", "/dataTypes/0/formId", "/dataTypes/0/allowedContentTypes/0", "/workflow/steps/0/name", "/workflow/steps/1/name", "name of /title/nb"}},
}

// headers that a client may send and a function, or something before it, may look at.
var headers = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Baggage", "Content-Disposition", "Content-Encoding", "Content-Type", "Cookie", "Forwarded",
	"Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Origin", "Prefer", "Range", "Referer", "Repr-Digest", "Traceparent",
	"Tracestate", "User-Agent", "X-Amz-Security-Token", "X-Amzn-Trace-Id", "X-Correlation-Id", "X-Forwarded-For", "X-Request-Id",
}
