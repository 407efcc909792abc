package leaks

const jsonType = "application/json"

const (
	appsInstances = "/{org}/{app}/instances"
	appsInstance  = appsInstances + "/{instanceOwnerId}/{instanceGuid}"

	storedInstance = "/storage/instances/{instanceOwnerId}/{instanceGuid}"
)

// clientText lists, by route, the locations whose text the client chooses: members of the body by
// JSON Pointer, and names of other locations. The API stores this text and returns it as content.
var clientText = map[string][]string{
	"POST " + appsInstances:                    {"/labels/0", "/presentationField", "/data/0/fileName"},
	"POST /{org}/{app}/batch":                  {"/items/0/key", "/items/0/labels/0", "/items/0/presentationField", "/items/0/data/0/fileName"},
	"PATCH " + appsInstance:                    {"/labels/0", "/presentationField"},
	"POST " + appsInstance + "/data":           {"file name", "parameter of Content-Type"},
	"POST " + appsInstance + "/uploads":        {"/fileName"},
	"PUT " + appsInstance + "/data/{dataGuid}": {"file name", "parameter of Content-Type"},
	"POST " + appsInstance + "/changes":        {"/workflow/reason"},
	"PUT " + appsInstance + "/workflow":        {"/reason"},
	"PUT " + appsInstance + "/substatus":       {"/label", "/description"},
	// The results repeat the ids of the items.
	"POST /storage/confirmDownload": {"/instances/0/instanceOwnerId", "/instances/0/id"},
	// Only the application's owner gets the reason.
	"PUT " + storedInstance + "/legalHold": {"/reason"},
	// Every caller with a token can read a registration.
	"PUT /storage/applications/{org}/{app}": {
		"/title/nb", "/dataTypes/0/formId", "/dataTypes/0/allowedContentTypes/0", "/workflow/steps/0/name", "/workflow/steps/1/name", "name of /title/nb", "unknown member of /title",
		"unknown member of /dataTypes/0/schema", "name of /dataTypes/0/schema/type", "/deadline/label",
	},
}

// headers are the header fields that a client may send and that a function, or a component before
// it, may read.
var headers = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Baggage", "Content-Disposition", "Content-Encoding", "Content-Type", "Cookie", "Forwarded",
	"Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Origin", "Prefer", "Range", "Referer", "Repr-Digest", "Traceparent",
	"Tracestate", "User-Agent", "X-Amz-Security-Token", "X-Amzn-Trace-Id", "X-Correlation-Id", "X-Forwarded-For", "X-Request-Id",
}
