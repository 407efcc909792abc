package authz

import (
	"strings"
)

// The rules, in the order in which they are asked of a request:
//
//  1. No token, or none that is good: 401, whatever is asked for.
//  2. A token of the wrong kind for the endpoint: 403 owner-only or user-only, whatever the object.
//  3. A token without the scope: 403 scope-missing, whatever the object.
//  4. Not there, or not the caller's: 404 not-found, both the same. A query finds nothing.
//  5. The state of the object: see the objects below.
//
// The columns say what a caller with the scope gets. An owner is "its owner" when the application is of its org, whatever
// party the instance belongs to; a user is "its party" when the instance belongs to that party, whatever the application.
const rules = `
what the endpoint does    | scope | its owner | another owner | its party  | another user
reads                     | read  | yes       | no            | yes        | no
changes data              | write | yes       | no            | yes        | no
moves                     | write | yes       | no            | yes        | no
deletes                   | write | yes       | no            | yes        | no
undeletes                 | write | yes       | no            | yes        | no
describes                 | write | yes       | no            | owner-only | owner-only
confirms                  | write | yes       | no            | owner-only | owner-only
creates                   | write | yes       | no            | yes        | no
finds                     | read  | yes       | nothing       | yes        | nothing
lists a party             | read  | user-only | user-only     | yes        | nothing
follows events            | read  | yes       | no            | owner-only | owner-only
reads an application      | read  | yes       | yes           | yes        | yes
registers an application  | write | yes       | no            | owner-only | owner-only
`

// endpoint is a route, in the words of template.yaml. A route of HEAD has the rules of the GET.
type endpoint struct {
	route string
	does  string // a row of the rules
	query string
	body  string // sent as the type given
	media string
	yes   int // the status of a success
}

// Braces are filled in from the object, as in a route.
var endpoints = []endpoint{
	{route: "POST /{org}/{app}/instances", does: "creates", body: `{"instanceOwnerId":"{instanceOwnerId}"}`, media: "application/json", yes: 201},
	{route: "POST /{org}/{app}/instances", does: "creates", body: `{"reportee":{reportee}}`, media: "application/json", yes: 201},
	{route: "GET " + appsInstance, does: "reads", yes: 200},
	{route: "PATCH " + appsInstance, does: "describes", body: `{"labels":["new"]}`, media: "application/merge-patch+json", yes: 200},
	{route: "DELETE " + appsInstance, does: "deletes", yes: 200},
	{route: "DELETE " + appsInstance, does: "deletes", query: "?hard=true", yes: 200},
	{route: "POST " + appsInstance + "/undelete", does: "undeletes", yes: 200},
	{route: "POST " + appsInstance + "/data", does: "changes data", query: "?formId=more", body: "more", media: "text/plain", yes: 201},
	{route: "POST " + appsInstance + "/uploads", does: "changes data", body: announcement, media: "application/json", yes: 201},
	{route: "GET " + appsInstance + "/data/{dataGuid}", does: "reads", yes: 200},
	{route: "PUT " + appsInstance + "/data/{dataGuid}", does: "changes data", body: "other", media: "text/plain", yes: 200},
	{route: "DELETE " + appsInstance + "/data/{dataGuid}", does: "changes data", yes: 200},
	{route: "GET " + appsInstance + "/validate", does: "reads", yes: 200},
	{route: "GET " + appsInstance + "/data/{dataGuid}/validate", does: "reads", yes: 200},
	{route: "GET " + appsInstance + "/workflow", does: "reads", yes: 200},
	{route: "PUT " + appsInstance + "/workflow", does: "moves", body: `{"currentStep":"Submit"}`, media: "application/json", yes: 200},

	{route: "GET /storage/instances", does: "finds", query: "?appId={org}/{app}&instanceOwnerId={instanceOwnerId}", yes: 200},
	{route: "GET /storage/instances/{instanceOwnerId}", does: "lists a party", yes: 200},
	{route: "GET " + storedInstance, does: "reads", yes: 200},
	{route: "GET " + storedInstance + "/events", does: "reads", yes: 200},
	{route: "GET " + storedInstance + "/data/{dataGuid}", does: "reads", yes: 200},
	{route: "POST " + storedInstance + "/data/{dataGuid}/confirmDownload", does: "confirms", yes: 200},
	{route: "POST " + storedInstance + "/confirmDownload", does: "confirms", yes: 200},
	{route: "GET /storage/applications/{org}/{app}", does: "reads an application", yes: 200},
	{route: "PUT /storage/applications/{org}/{app}", does: "registers an application", body: "{}", media: "application/json", yes: 200},
	{route: "GET /storage/applications/{org}/{app}/events", does: "follows events", yes: 200},
}

// open is where the documentation is: the only routes that are for anybody, without a token.
const open = "/storage/docs"

const (
	appsInstance   = "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}"
	storedInstance = "/storage/instances/{instanceOwnerId}/{instanceGuid}"
	announcement   = `{"contentType":"text/plain","size":4,"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`
)

func (e endpoint) method() string { method, _, _ := strings.Cut(e.route, " "); return method }
func (e endpoint) path() string   { _, path, _ := strings.Cut(e.route, " "); return path }

// object is what a request names: an instance of nav/app2018 that belongs to the caller's party (to Kari's, if the caller is
// none), in the words of a route's variables, unless it says otherwise.
type object struct {
	name  string
	names string // the variables that a request has to have for this object to make a difference: see has
	lacks string // those that it must not have

	org   string            // the owner of the application, when it is not nav
	party string            // whose it is, when it is not the caller's own
	state string            // "deleted", "gone"
	says  map[string]string // what the request has in place of the variables; from functions of the value: see fill
	none  bool              // there is no such thing, for anybody

	common bool // asked for by those too who get nothing whatever they ask for: see asks

	answers map[string]string // by what the endpoint does: what whoever is let in gets, when that is not a yes
}

// What in object.says stands for something of the world.
const (
	upper   = "UPPER"   // the variable's own value, in capitals
	bare    = "BARE"    // without its hyphens
	braces  = "BRACES"  // in braces
	urn     = "URN"     // as urn:uuid:
	padded  = "PADDED"  // with a zero before
	wide    = "WIDE"    // in full-width digits, which are digits to Unicode
	ofOla   = "OLA"     // the variable of Ola's instance
	ofOther = "SECOND"  // of another instance of the same party
	unused  = "UNUSED"  // a name that was not used before
	itself  = "ITSELF"  // the guid of the instance
	nobodys = "NOBODYS" // well-formed, and nobody has it
)

var deleted = map[string]string{
	"changes data": "409 instance-deleted", "moves": "409 instance-deleted", "describes": "409 instance-deleted", "finds": "nothing", "lists a party": "nothing",
}

// badNumber is what an instanceOwnerId gets that cannot be one: a filter that is impossible is said to be so.
var badNumber = map[string]string{"finds": "400 parameter-invalid"}

var objects = []object{
	{name: "own", common: true},
	{name: "another party's", common: true, names: "party", party: "ola"},
	{name: "another owner's", common: true, names: "org", org: "skd"},
	{name: "another owner's", common: true, names: "instanceGuid", lacks: "org", org: "skd"},
	{name: "soft-deleted", common: true, names: "instance", state: "deleted", answers: deleted},
	{name: "hard-deleted", common: true, names: "instance", state: "gone", none: true},
	{name: "not there", common: true, names: "instanceGuid", says: map[string]string{"instanceGuid": nobodys}, none: true},

	{name: "another party's guid under one's own number", names: "instanceGuid", says: map[string]string{"instanceGuid": ofOla}, none: true},
	{name: "one's own guid under another party's number", names: "instanceGuid", says: map[string]string{"instanceOwnerId": ofOla}, none: true},
	{name: "one's own guid under nobody's number", names: "instanceGuid", says: map[string]string{"instanceOwnerId": nobodys}, none: true},
	{name: "a number nobody has", names: "instanceOwnerId", lacks: "instanceGuid", says: map[string]string{"instanceOwnerId": nobodys}, none: true},
	{name: "a guid in capitals", names: "instanceGuid", says: map[string]string{"instanceGuid": upper}, none: true},
	{name: "a guid without hyphens", names: "instanceGuid", says: map[string]string{"instanceGuid": bare}, none: true},
	{name: "a guid in braces", names: "instanceGuid", says: map[string]string{"instanceGuid": braces}, none: true},
	{name: "a guid as a urn", names: "instanceGuid", says: map[string]string{"instanceGuid": urn}, none: true},
	{name: "no guid", common: true, names: "instanceGuid", says: map[string]string{"instanceGuid": "x"}, none: true},
	{name: "a slash in the guid", names: "instanceGuid", says: map[string]string{"instanceGuid": "a/../b?c#d%"}, none: true},
	{name: "NUL in the guid", names: "instanceGuid", says: map[string]string{"instanceGuid": "\x00"}, none: true},
	{name: "a very long guid", names: "instanceGuid", says: map[string]string{"instanceGuid": strings.Repeat("0", 1500)}, none: true},

	{name: "a number with a zero before", names: "instanceOwnerId", says: map[string]string{"instanceOwnerId": padded}, none: true, answers: badNumber},
	{name: "a number in full-width digits", names: "instanceOwnerId", says: map[string]string{"instanceOwnerId": wide}, none: true, answers: badNumber},
	{name: "a number below zero", names: "instanceOwnerId", says: map[string]string{"instanceOwnerId": "-1"}, none: true, answers: badNumber},
	{name: "no number", common: true, names: "instanceOwnerId", says: map[string]string{"instanceOwnerId": "me"}, none: true, answers: badNumber},
	{name: "a very long number", names: "instanceOwnerId", says: map[string]string{"instanceOwnerId": strings.Repeat("9", 1500)}, none: true, answers: badNumber},

	{name: "the owner's other application", names: "app instanceGuid", says: map[string]string{"app": "other"}, none: true},
	{name: "another owner's application in the path", names: "app instanceGuid", says: map[string]string{"org": "skd", "app": "app"}, none: true},
	{name: "an application nobody has registered", names: "app instanceGuid", says: map[string]string{"app": unused}, none: true},
	{name: "an application nobody has registered", names: "app", lacks: "instanceGuid", says: map[string]string{"app": unused},
		answers: map[string]string{"creates": "404 not-found", "reads an application": "404 not-found", "registers an application": "201", "finds": "nothing",
			"follows events": "404 not-found"}},
	{name: "no name of an application", common: true, names: "app instanceGuid", says: map[string]string{"app": "App_2018"}, none: true},
	{name: "no name of an application", common: true, names: "app", lacks: "instanceGuid", says: map[string]string{"app": "App_2018"},
		answers: map[string]string{"creates": "404 not-found", "reads an application": "404 not-found", "registers an application": "400 application-id-invalid",
			"follows events": "404 not-found", "finds": "400 parameter-invalid"}},
	{name: "a slash in the application", names: "app", says: map[string]string{"app": "app2018/instances"}, none: true,
		answers: map[string]string{"registers an application": "400 application-id-invalid", "finds": "400 parameter-invalid"}},
	{name: "a very long application", names: "app", says: map[string]string{"app": strings.Repeat("a", 1500)}, none: true,
		answers: map[string]string{"registers an application": "400 application-id-invalid", "finds": "400 parameter-invalid"}},
	{name: "org in capitals", names: "org", org: "NAV", says: map[string]string{"org": "NAV"}, none: true, answers: map[string]string{"finds": "400 parameter-invalid"}},
	{name: "a reserved word as the org", names: "org", org: "platform", says: map[string]string{"org": "platform"}, none: true, answers: map[string]string{"finds": "400 parameter-invalid"}},
	{name: "storage as the org", names: "org", org: "storage", says: map[string]string{"org": "storage"}, none: true, answers: map[string]string{"finds": "400 parameter-invalid"}},

	{name: "an element of another instance", names: "dataGuid", says: map[string]string{"dataGuid": ofOther}, none: true},
	{name: "an element of another party", names: "dataGuid", says: map[string]string{"dataGuid": ofOla}, none: true},
	{name: "an element that is not there", common: true, names: "dataGuid", says: map[string]string{"dataGuid": nobodys}, none: true},
	{name: "the instance as an element", names: "dataGuid", says: map[string]string{"dataGuid": itself}, none: true},
	{name: "an element's guid in capitals", names: "dataGuid", says: map[string]string{"dataGuid": upper}, none: true},
	{name: "no guid of an element", names: "dataGuid", says: map[string]string{"dataGuid": "x"}, none: true},
}

// has reports whether a variable makes a difference to an endpoint: one of its route, query or body; "party" for what
// names one in any way; "instance" for what is about some.
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

// fits reports whether the object makes a difference to the endpoint.
func (o object) fits(e endpoint) bool {
	for _, name := range strings.Fields(o.names) {
		if !e.has(name) {
			return false
		}
	}
	return o.lacks == "" || !e.has(o.lacks)
}

// wanted is the answer that a request has to get.
type wanted struct {
	status  int
	code    string // of the problem
	scope   string // what a 403 says is missing
	nothing bool   // a query finds nothing of the object
	gateway bool   // the gateway's own answer: the request fits no route
}

// want returns the answer, by the rules above.
func want(e endpoint, c caller, o object) wanted {
	rule := ruleOf(e.does)
	party := o.party
	if party == "" {
		party = c.home()
	}
	var cell string
	switch {
	case c.org != "" && c.org == o.owner() && !o.none:
		cell = rule.itsOwner
	case c.org != "":
		cell = rule.anotherOwner
	case c.party == party && !o.none:
		cell = rule.itsParty
	default:
		cell = rule.anotherUser
	}
	// An owner registers under its own name, whether there is anything yet or not.
	if o.none && e.does == "registers an application" && c.org != "" && c.org == o.owner() {
		cell = rule.itsOwner
	}
	switch {
	case o.org == "storage" && strings.HasPrefix(e.path(), "/{org}"):
		return wanted{status: 404, gateway: true}
	case c.refused != "":
		return wanted{status: 401, code: c.refused}
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
	}
	if answer, ok := o.answers[e.does]; ok && answer != "nothing" {
		status, code, _ := strings.Cut(answer, " ")
		return wanted{status: number(status), code: code}
	} else if ok || cell == "nothing" {
		return wanted{status: e.yes, nothing: true}
	}
	if o.none {
		return wanted{status: 404, code: "not-found"}
	}
	return wanted{status: e.yes}
}

// rule is one line of the rules.
type rule struct{ scope, itsOwner, anotherOwner, itsParty, anotherUser string }

// ruleOf panics when the rules have no line for what an endpoint does.
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

// home returns the party whose instances the caller's requests are about.
func (c caller) home() string {
	if c.party == "firm" || c.party == "named" {
		return c.party
	}
	return "kari"
}
