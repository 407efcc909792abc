// Package acceptance tests the whole system over HTTP against the deployed template: plain-text
// scripts, and Go tests for what a script cannot express. The tests see what a client sees
// (requests, responses, the feed, the bus). The package imports no handler, table or domain
// package.
//
// # System under test
//
//	BASE_URL       the Storage API, and the Application API unless APPS_BASE_URL is set.
//	               Without it, the tests start the local stack on a free port and stop
//	               it at the end.
//	APPS_BASE_URL  the Application API; may contain {org}.
//	TOKEN_COMMAND  a shell command, run in the repository's root, that prints a token for
//	               the variables of `make token` (ORG, USERID, PARTY, SSN, ORGNR,
//	               USER_NAME, SCOPE, EXPIRES) in its environment. Default: the program
//	               behind make token, built once.
//	AWS_ENDPOINT   address of EventBridge and SQS; known if the tests start the stack.
//	               Against real AWS, skip the tests that need it:
//	               go test ./tests/acceptance -skip "TestRuleDelivers|TestPatterns".
//	               Large files are sent to the addresses in the API's responses, which
//	               the tests must be able to reach.
//	EVENT_BUS      the bus, if there are several besides the default bus.
//
// Every script uses its own org ($ORG) and identity numbers. So the suite can run repeatedly
// against the same system, and its scripts can run in parallel.
//
// # Scripts
//
// A script is a txtar archive: commands, one per line, then the files that they name. Spaces
// separate words; single quotes keep a word together and its $ unexpanded; $NAME and ${NAME} are
// variables; # starts a comment. Every script has these variables: ORG, a new org; BASE, the
// Storage API's address; APPS, the Application API's address; SHARED, the folder testdata;
// CONTRACT, the OpenAPI document. The condition [own] is true if the tests started the stack.
//
// Run one script: go test ./tests/acceptance -run TestScripts/walk. A failure prints the last
// exchange, without its tokens.
//
// # Contract
//
// Package contract checks every exchange, of a script or a Go test, against the OpenAPI document. A
// response that the document does not have, or a success of a request that it does not allow, fails
// the test that sent the request.
//
// # Verbs
//
//	token NAME KEY=VALUE…          fetch a token, with the keys of make token, for -as NAME
//	random VAR DIGITS              set VAR to a random number with that many digits, no leading 0
//	time VAR DURATION              set VAR to the time after a duration from now, such as 24h5s
//	call [OPTION…] METHOD TARGET   send a request; the verbs after it check its response.
//	                               Redirects are not followed. TARGET is a path, or an absolute
//	                               link of which only path and query are used. NEXT is set to
//	                               the link to the next page in the response, or to "". Options:
//	    -as NAME                       with the token NAME; without it there is no Authorization
//	    -H 'Name: value'               a header; repeatable
//	    -json DOCUMENT                 a JSON body, inline or a file; ${VAR} in it is expanded
//	    -body FILE                     the file's content, unchanged; set its type with -H
//	crawl [OPTION…] TARGET         GET TARGET and every page after it, by _links.next or by
//	                               Link rel="next". The response is then one JSON array of all
//	                               items. Options: -as NAME, and -pages N, the number of pages
//	                               that must have had items
//	each FILE [-as NAME] CHECK     send every line of FILE (the words of call), and check each
//	                               response
//	poll SECONDS call… until CHECK repeat the call until CHECK holds, at most SECONDS. A 5xx ends
//	                               it immediately
//
// CHECKS, each of them a verb. After until and in each, "and" joins several:
//
//	status CODE                    the status
//	problem STATUS [CODE]          a complete RFC 9457 problem with this status and this code
//	header NAME RULE               a header of the response
//	json PATH RULE                 a value in the JSON body, by its path: . or .a.b[0].c; [*] is
//	                               every item of a list
//	count PATH N                   the number of items in a list
//	members PATH NAME…             an object has exactly these members
//	body RULE                      the content of the body
//
// RULES:
//
//	== TEXT          equals; JSON strings are compared without quotes, the rest compact
//	!= TEXT          exists, and differs
//	matches REGEXP   Go syntax, unanchored
//	contains TEXT    a list has the item; a text has the part
//	lacks TEXT       the opposite; the value must exist
//	exists, absent   whether it exists (a body: whether it has content); null exists
//	-> VAR           keep the value in a variable; body: in a file
//	== FILE          of body: the same content as the file
package acceptance
