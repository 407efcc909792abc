package authz

import (
	"cmp"
	"maps"
	"strings"

	"altinn.no/instanceapi/tests/routes"
)

// The rules, in the order in which they apply to a request:
//
//  1. No token, or an invalid token: 401, for every path.
//  2. A token of the wrong kind for the endpoint: 403 owner-only or user-only, for every object.
//  3. A token without the scope: 403 scope-missing, for every object.
//  4. The object is missing or belongs to another caller: 404 not-found for both. A query finds
//     nothing.
//  5. The state of the object: see the objects below.
//
// The columns state the result for a caller with the scope. An owner is "its owner" if the
// application is of its org, for the instances of every party. A user is "its party" if the
// instance belongs to that party, in every application. A user whose token lacks the identity in
// the body is another user.
const rules = `
what the endpoint does    | scope | its owner | another owner | its party  | another user
reads                     | read  | yes       | no            | yes        | no
reads content             | read  | yes       | no            | yes        | no
adds data                 | write | yes       | no            | yes        | no
changes data              | write | yes       | no            | yes        | no
moves                     | write | yes       | no            | yes        | no
deletes                   | write | yes       | no            | yes        | no
deletes permanently       | write | yes       | no            | yes        | no
undeletes                 | write | yes       | no            | yes        | no
updates metadata          | write | yes       | no            | owner-only | owner-only
confirms                  | write | yes       | no            | owner-only | owner-only
confirms all              | write | yes       | no            | owner-only | owner-only
holds                     | write | yes       | no            | owner-only | owner-only
sets the substatus        | write | yes       | no            | owner-only | owner-only
sets the read status      | write | user-only | user-only     | yes        | no
creates                   | write | yes       | no            | yes        | no
creates many              | write | yes       | no            | owner-only | owner-only
finds                     | read  | yes       | nothing       | yes        | nothing
lists a party             | read  | user-only | user-only     | yes        | nothing
looks up a party          | read  | yes       | yes           | yes        | no
follows events            | read  | yes       | no            | owner-only | owner-only
counts                    | read  | yes       | no            | owner-only | owner-only
lists subscriptions       | read  | yes       | yes           | owner-only | owner-only
subscribes                | write | yes       | 400 body-invalid | owner-only | owner-only
reads a subscription      | read  | yes       | no            | owner-only | owner-only
changes a subscription    | write | yes       | no            | owner-only | owner-only
reads an application      | read  | yes       | yes           | yes        | yes
registers an application  | write | yes       | no            | owner-only | owner-only
`

// endpoint is a route in the notation of template.yaml, with a request that succeeds. A HEAD route
// has the rules of the GET route.
type endpoint struct {
	route string
	as    string // path of the request, if its variables are not those of the route
	does  string // a row of the rules
	query string
	body  string
	media string // Content-Type of the body
	yes   int    // status of a success
	batch bool   // the status is that of the only item
}

const (
	appsInstance   = "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}"
	storedInstance = "/storage/instances/{instanceOwnerId}/{instanceGuid}"
	aSubscription  = "/storage/subscriptions/{subscriptionId}"
)

// subscription is the body of the subscription that exists.
var subscription = strings.NewReplacer("{org}/{app}", "nav/app2018", "{endpoint}", "altinn").Replace(routes.Subscription)

// endpoints are the routes that need a token. The requests come from package routes. The fields
// that a line sets replace parts of the request.
var endpoints = complete([]endpoint{
	{route: "POST /{org}/{app}/instances", does: "creates"},
	{route: "POST /{org}/{app}/instances", does: "creates", body: `{"instanceOwnerId":"{instanceOwnerId}"}`},
	{route: "POST /{org}/{app}/batch", does: "creates many"},
	{route: "POST /{org}/{app}/batch", does: "creates many", body: `{"items":[{"key":"{key}","instanceOwnerId":"{instanceOwnerId}"}]}`},
	{route: "GET " + appsInstance, does: "reads"},
	{route: "PATCH " + appsInstance, does: "updates metadata"},
	{route: "DELETE " + appsInstance, does: "deletes"},
	{route: "DELETE " + appsInstance, does: "deletes permanently", query: "hard=true"},
	{route: "POST " + appsInstance + "/undelete", does: "undeletes"},
	{route: "POST " + appsInstance + "/changes", does: "adds data"},
	{route: "POST " + appsInstance + "/changes", does: "moves", body: `{"workflow":{"currentStep":"Submit"}}`, media: "application/json"},
	{route: "POST " + appsInstance + "/data", does: "adds data", query: "formId={formId}"},
	{route: "POST " + appsInstance + "/uploads", does: "adds data", query: "formId={formId}"},
	{route: "GET " + appsInstance + "/data/{dataGuid}", does: "reads content"},
	{route: "PUT " + appsInstance + "/data/{dataGuid}", does: "changes data"},
	{route: "DELETE " + appsInstance + "/data/{dataGuid}", does: "changes data"},
	{route: "GET " + appsInstance + "/validate", does: "reads"},
	{route: "GET " + appsInstance + "/data/{dataGuid}/validate", does: "reads"},
	{route: "GET " + appsInstance + "/workflow", does: "reads"},
	{route: "PUT " + appsInstance + "/workflow", does: "moves"},
	{route: "PUT " + appsInstance + "/substatus", does: "sets the substatus"},
	{route: "DELETE " + appsInstance + "/substatus", does: "sets the substatus"},
	{route: "PUT " + appsInstance + "/readStatus", does: "sets the read status"},

	{route: "GET /storage/instances", does: "finds", query: "appId={org}/{app}&instanceOwnerId={instanceOwnerId}"},
	{route: "GET /storage/instances/{instanceOwnerId}", does: "lists a party"},
	{route: "GET /storage/instances/{instanceOwnerId}", as: "/storage/instances/{instanceGuid}", does: "reads"},
	{route: "GET " + storedInstance, does: "reads"},
	{route: "GET " + storedInstance + "/events", does: "reads"},
	{route: "GET " + storedInstance + "/data/{dataGuid}", does: "reads content"},
	{route: "POST " + storedInstance + "/data/{dataGuid}/confirmDownload", does: "confirms"},
	{route: "POST " + storedInstance + "/confirmDownload", does: "confirms all"},
	{route: "POST /storage/confirmDownload", does: "confirms all"},
	{route: "POST /storage/parties/lookup", does: "looks up a party"},
	{route: "PUT " + storedInstance + "/legalHold", does: "holds"},
	{route: "DELETE " + storedInstance + "/legalHold", does: "holds"},
	{route: "GET /storage/applications/{org}/{app}", does: "reads an application"},
	// The application exists, and its registration must not change while other routes use it.
	{route: "PUT /storage/applications/{org}/{app}", does: "registers an application", body: unscannedTypes, yes: 200},
	{route: "GET /storage/applications/{org}/{app}/events", does: "follows events"},
	{route: "GET /storage/applications/{org}/{app}/statistics", does: "counts"},
	{route: "GET /storage/subscriptions", does: "lists subscriptions"},
	{route: "POST /storage/subscriptions", does: "subscribes", body: subscription},
	{route: "GET " + aSubscription, does: "reads a subscription"},
	{route: "PATCH " + aSubscription, does: "changes a subscription", body: `{"paused":true}`},
	{route: "DELETE " + aSubscription, does: "changes a subscription"},
	{route: "POST " + aSubscription + "/secret", does: "changes a subscription"},
	{route: "POST " + aSubscription + "/replay", does: "changes a subscription", body: `{"after":"2026-11-24"}`},
	{route: "GET " + aSubscription + "/deliveries", does: "reads a subscription"},
})

func complete(all []endpoint) []endpoint {
	for n := range all {
		e := &all[n]
		_, path, _ := strings.Cut(e.route, " ") // without the value of as
		r := routes.Get(e.method(), path)
		e.query, e.body, e.yes, e.media = cmp.Or(e.query, r.Query), cmp.Or(e.body, r.Body), cmp.Or(e.yes, r.ItemStatus, r.Status), cmp.Or(e.media, r.Type)
		e.batch = r.Batch()
	}
	return all
}

func (e endpoint) method() string { method, _, _ := strings.Cut(e.route, " "); return method }
func (e endpoint) path() string   { _, path, _ := strings.Cut(e.route, " "); return cmp.Or(e.as, path) }

// object is the object of a request. By default it is an instance of nav/app2018 that belongs to
// the caller's party, or to Kari's party if the caller has none.
type object struct {
	name     string
	requires string // the object applies only to requests with these variables: see has
	excludes string // and without this variable

	org     string            // owner of the application, if it is not nav
	party   string            // party of the instance, if it is not the caller's
	state   string            // of the instance: see env.createWith
	values  map[string]string // of variables that the request changes; may be placeholders
	missing bool              // the object does not exist, for any caller
	hidden  bool              // the object does not exist for users

	common bool // callers without any access try this object too: see tries

	// results are the results for an authorized caller that are not a success, by what the endpoint
	// does. A name that ends in " by owner" or " by user" is for that kind of caller only.
	results map[string]string
}

// Placeholders in object.values. See resolve.
const (
	upper      = "UPPER"      // the variable's own value, in capitals
	bare       = "BARE"       // without its hyphens
	braces     = "BRACES"     // in braces
	urn        = "URN"        // as urn:uuid:
	padded     = "PADDED"     // with a leading zero
	wide       = "WIDE"       // in full-width digits, which are digits to Unicode
	ofOla      = "OLA"        // the variable of Ola's instance
	ofOther    = "SECOND"     // of another instance of the same party
	unused     = "UNUSED"     // a name that no request has used before
	itself     = "ITSELF"     // the guid of the instance
	unassigned = "UNASSIGNED" // well-formed, but assigned to no object
)

// The results for an instance in a state.
var (
	deletedByUser = map[string]string{
		"adds data": "409 instance-deleted", "changes data": "409 instance-deleted", "moves": "409 instance-deleted", "updates metadata": "409 instance-deleted",
		"sets the substatus": "409 instance-deleted", "sets the read status": "409 instance-deleted", "finds": "nothing", "lists a party": "nothing",
	}
	deletedByOwner = with(deletedByUser, "undeletes by user", "409 deleted-by-owner")
	held           = map[string]string{"changes data": "409 legal-hold", "deletes permanently": "409 legal-hold"}
	// The owner has downloaded the submission, but not confirmed it.
	submitted = map[string]string{"adds data": "409 data-locked", "changes data": "409 data-locked", "deletes permanently by user": "409 deletion-too-early"}
	// The instance has an element whose content the API does not hand out.
	unscanned   = map[string]string{"reads content": "409 data-unscanned", "confirms": "409 not-downloaded", "confirms all": "409 not-downloaded"}
	infected    = map[string]string{"reads content": "409 data-infected", "confirms": "409 not-downloaded", "moves": "409 data-invalid"}
	unscannable = map[string]string{"reads content": "409 data-unscannable", "confirms": "409 not-downloaded"}
	// A user has deleted the submission.
	withdrawn = with(deletedByUser, "deletes permanently by user", "409 deletion-too-early")
)

// with returns a copy of results with one more.
func with(results map[string]string, does, result string) map[string]string {
	all := maps.Clone(results)
	all[does] = result
	return all
}

// badNumber has the result for an instanceOwnerId that cannot exist: a filter reports an error.
var badNumber = map[string]string{"finds": "400 parameter-invalid"}

var objects = []object{
	{name: "own", common: true},
	{name: "another party's", common: true, requires: "party", party: "ola"},
	{name: "another party's", common: true, requires: "instanceGuid", excludes: "party", party: "ola"},
	{name: "another owner's", common: true, requires: "org", org: "skd"},
	{name: "another owner's", common: true, requires: "instanceGuid", excludes: "org", org: "skd"},
	{name: "soft-deleted by the owner", common: true, requires: "instance", state: "deleted", results: deletedByOwner},
	{name: "soft-deleted by the user", requires: "instance", state: "deleted-by-user", results: deletedByUser},
	{name: "hidden", requires: "instance", state: "hidden", hidden: true},
	{name: "held", requires: "instance", state: "held", results: held},
	{name: "submitted, unconfirmed", requires: "instance", state: "submitted", results: submitted},
	{name: "submitted, unconfirmed, soft-deleted by the user", requires: "instance", state: "withdrawn", results: withdrawn},
	{name: "with an element that only the owner writes", requires: "instance", state: "decided", results: map[string]string{"changes data by user": "403 form-id-forbidden"}},
	{name: "with an element whose scan has no result", requires: "instance", state: "unscanned", results: unscanned},
	{name: "with an infected element", common: true, requires: "instance", state: "infected", results: infected},
	{name: "with an unscannable element", requires: "instance", state: "unscannable", results: unscannable},
	{name: "an element that only the owner sees", common: true, requires: "dataGuid", state: "assessed", hidden: true},
	{name: "with an element that only the owner sees", requires: "instance", excludes: "dataGuid", state: "assessed"},
	{name: "a form that only the owner sees", requires: "formId", state: "assessed", values: map[string]string{"formId": noteForm},
		results: map[string]string{"adds data by user": "403 form-id-forbidden"}},
	{name: "a box that only the owner sees", requires: "formId", state: "assessed", values: map[string]string{"formId": boxForm}},
	{name: "hard-deleted", common: true, requires: "instance", state: "gone", missing: true},
	{name: "missing", common: true, requires: "instanceGuid", values: map[string]string{"instanceGuid": unassigned}, missing: true},

	{name: "another party's guid under one's own number", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": ofOla}, missing: true},
	{name: "one's own guid under another party's number", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceOwnerId": ofOla}, missing: true},
	{name: "one's own guid under an unassigned number", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceOwnerId": unassigned}, missing: true},
	{name: "an unassigned number", requires: "instanceOwnerId", excludes: "instanceGuid", values: map[string]string{"instanceOwnerId": unassigned}, missing: true},
	{name: "a guid in capitals", requires: "instanceGuid", values: map[string]string{"instanceGuid": upper}},
	{name: "a guid without hyphens", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": bare}, missing: true},
	{name: "a guid in braces", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": braces}, missing: true},
	{name: "a guid as a urn", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": urn}, missing: true},
	{name: "not a guid", common: true, requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": "x"}, missing: true},
	{name: "a slash in the guid", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": "a/../b?c#d%"}, missing: true},
	{name: "NUL in the guid", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": "\x00"}, missing: true},
	{name: "a very long guid", requires: "instanceOwnerId instanceGuid", values: map[string]string{"instanceGuid": strings.Repeat("0", 1500)}, missing: true},

	{name: "a number with a leading zero", requires: "instanceOwnerId", values: map[string]string{"instanceOwnerId": padded}, missing: true, results: badNumber},
	{name: "a number in full-width digits", requires: "instanceOwnerId", values: map[string]string{"instanceOwnerId": wide}, missing: true, results: badNumber},
	{name: "a number below zero", requires: "instanceOwnerId", values: map[string]string{"instanceOwnerId": "-1"}, missing: true, results: badNumber},
	{name: "not a number", common: true, requires: "instanceOwnerId", values: map[string]string{"instanceOwnerId": "me"}, missing: true, results: badNumber},
	{name: "a very long number", requires: "instanceOwnerId", values: map[string]string{"instanceOwnerId": strings.Repeat("9", 1500)}, missing: true, results: badNumber},

	{name: "the owner's other application", requires: "app instanceGuid", values: map[string]string{"app": "other"}, missing: true},
	{name: "another owner's application in the path", requires: "app instanceGuid", values: map[string]string{"org": "skd", "app": "app"}, missing: true},
	{name: "an unregistered application", requires: "app instanceGuid", values: map[string]string{"app": unused}, missing: true},
	{name: "an unregistered application", requires: "app", excludes: "instanceGuid", values: map[string]string{"app": unused},
		results: map[string]string{"creates": "404 not-found", "creates many": "404 not-found", "reads an application": "404 not-found", "registers an application": "201", "finds": "nothing",
			"follows events": "404 not-found", "counts": "404 not-found"}},
	{name: "an invalid application name", common: true, requires: "app instanceGuid", values: map[string]string{"app": "App_2018"}, missing: true},
	{name: "an invalid application name", common: true, requires: "app", excludes: "instanceGuid", values: map[string]string{"app": "App_2018"},
		results: map[string]string{"creates": "404 not-found", "creates many": "404 not-found", "reads an application": "404 not-found", "registers an application": "400 application-id-invalid",
			"follows events": "404 not-found", "counts": "404 not-found", "finds": "400 parameter-invalid"}},
	{name: "a slash in the application", requires: "app", values: map[string]string{"app": "app2018/instances"}, missing: true,
		results: map[string]string{"registers an application": "400 application-id-invalid", "finds": "400 parameter-invalid"}},
	{name: "a very long application", requires: "app", values: map[string]string{"app": strings.Repeat("a", 1500)}, missing: true,
		results: map[string]string{"registers an application": "400 application-id-invalid", "finds": "400 parameter-invalid"}},
	{name: "org in capitals", requires: "org", org: "NAV", values: map[string]string{"org": "NAV"}, missing: true, results: map[string]string{"finds": "400 parameter-invalid"}},
	{name: "a reserved word as the org", requires: "org", org: "platform", values: map[string]string{"org": "platform"}, missing: true, results: map[string]string{"finds": "400 parameter-invalid"}},
	{name: "storage as the org", requires: "org", org: "storage", values: map[string]string{"org": "storage"}, missing: true, results: map[string]string{"finds": "400 parameter-invalid"}},

	{name: "an element of another instance", requires: "dataGuid", values: map[string]string{"dataGuid": ofOther}, missing: true},
	{name: "an element of another party", requires: "dataGuid", values: map[string]string{"dataGuid": ofOla}, missing: true},
	{name: "a missing element", common: true, requires: "dataGuid", values: map[string]string{"dataGuid": unassigned}, missing: true},
	{name: "the instance as an element", requires: "dataGuid", values: map[string]string{"dataGuid": itself}, missing: true},
	{name: "missing", common: true, requires: "subscriptionId", values: map[string]string{"subscriptionId": unassigned}, missing: true},
	{name: "a subscription's guid in capitals", requires: "subscriptionId", values: map[string]string{"subscriptionId": upper}},
	{name: "a subscription's guid without hyphens", requires: "subscriptionId", values: map[string]string{"subscriptionId": bare}, missing: true},
	{name: "a subscription's guid in braces", requires: "subscriptionId", values: map[string]string{"subscriptionId": braces}, missing: true},
	{name: "not a guid of a subscription", requires: "subscriptionId", values: map[string]string{"subscriptionId": "x"}, missing: true},
	{name: "an element's guid in capitals", requires: "dataGuid", values: map[string]string{"dataGuid": upper}},
	{name: "not a guid of an element", requires: "dataGuid", values: map[string]string{"dataGuid": "x"}, missing: true},
}

// has reports whether an endpoint's route, query or body contains a variable. "party" is any
// variable that names a party. "instance" is true for every endpoint whose result depends on an
// instance.
func (e endpoint) has(variable string) bool {
	whole := e.path() + e.query + e.body
	switch variable {
	case "party":
		return strings.Contains(whole, "{instanceOwnerId}") || strings.Contains(whole, "{reportee}")
	case "instance":
		return strings.Contains(whole, "{instanceGuid}") || e.does == "finds" || e.does == "lists a party"
	}
	return strings.Contains(whole, "{"+variable+"}")
}

// fits reports whether the object applies to the endpoint.
func (o object) fits(e endpoint) bool {
	for _, name := range strings.Fields(o.requires) {
		if !e.has(name) {
			return false
		}
	}
	return o.excludes == "" || !e.has(o.excludes)
}

// wanted is the response that a request must get.
type wanted struct {
	status  int
	code    string // of the problem
	scope   string // that a 403 reports as missing
	nothing bool   // the query does not find the object
	gateway bool   // the gateway responds, because the request matches no route
}

// want returns the response by the rules above.
func want(e endpoint, c caller, o object) wanted {
	rule := ruleOf(e.does)
	party := o.party
	if party == "" {
		party = c.home()
	}
	var cell string
	switch {
	case c.org != "" && c.org == o.owner() && !o.missing:
		cell = rule.itsOwner
	case c.org != "":
		cell = rule.anotherOwner
	case c.noReportee && e.has("reportee"):
		cell = rule.anotherUser
	case c.party == party && !o.missing && !o.hidden:
		cell = rule.itsParty
	default:
		cell = rule.anotherUser
	}
	// An owner may register a new application under its own org.
	if o.missing && e.does == "registers an application" && c.org != "" && c.org == o.owner() {
		cell = rule.itsOwner
	}
	switch {
	case o.org == "storage" && strings.HasPrefix(e.path(), "/{org}"):
		return wanted{status: 404, gateway: true}
	case c.code != "":
		return wanted{status: 401, code: c.code}
	case cell == "owner-only" || cell == "user-only":
		return wanted{status: 403, code: cell}
	case rule.scope == "read" && !c.read || rule.scope == "write" && !c.write:
		scope := userRead
		if c.org != "" {
			scope = ownerRead
		}
		return wanted{status: 403, code: "scope-missing", scope: strings.Replace(scope, "read", rule.scope, 1)}
	case cell == "no":
		return wanted{status: 404, code: "not-found"}
	case strings.HasPrefix(cell, "4"):
		status, code, _ := strings.Cut(cell, " ")
		return wanted{status: number(status), code: code}
	}
	role := " by user"
	if c.org != "" {
		role = " by owner"
	}
	result, ok := o.results[e.does+role]
	if !ok {
		result, ok = o.results[e.does]
	}
	if ok && result != "nothing" {
		status, code, _ := strings.Cut(result, " ")
		return wanted{status: number(status), code: code}
	} else if ok || cell == "nothing" {
		return wanted{status: e.yes, nothing: true}
	}
	if o.missing {
		return wanted{status: 404, code: "not-found"}
	}
	return wanted{status: e.yes}
}

// rule is one row of the rules.
type rule struct{ scope, itsOwner, anotherOwner, itsParty, anotherUser string }

// ruleOf returns the row of the rules that starts with does. It panics if there is none.
func ruleOf(does string) rule {
	for line := range strings.Lines(rules) {
		cells := strings.Split(line, "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		if len(cells) == 6 && cells[0] == does {
			return rule{cells[1], cells[2], cells[3], cells[4], cells[5]}
		}
	}
	panic("no rule for an endpoint that " + does)
}

// owner returns the org of the application.
func (o object) owner() string {
	if o.org != "" {
		return o.org
	}
	return "nav"
}

// home returns the party whose instances the caller requests.
func (c caller) home() string {
	if c.party == "firm" || c.party == "named" {
		return c.party
	}
	return "kari"
}
