// Package acceptance provides the HTTP tests of the whole system: plain-text scripts, and a few Go tests for what a
// script cannot say, run against the deployed template. They see what a client sees (requests, answers, the feed,
// the bus) and nothing of the inside: the package imports no handler, table or domain package.
//
// # What they run against
//
//	BASE_URL       the Storage API, and the Application API too unless APPS_BASE_URL says otherwise. Left out, the
//	               tests start the whole local stack themselves, on a free port, and stop it when they are done.
//	APPS_BASE_URL  the Application API; may hold {org}.
//	TOKEN_COMMAND  a shell command, run in the repository's root, that prints a token for the variables of `make
//	               token` (ORG, USERID, PARTY, SSN, ORGNR, USER_NAME, SCOPE, EXPIRES) in its environment. Left out: what
//	               make token runs, built once.
//	AWS_ENDPOINT   where EventBridge and SQS answer. Known by itself when the tests start the stack. Against real AWS
//	               leave the tests out by name: go test ./tests/acceptance -skip "TestRuleDelivers|TestPatterns".
//	               Large files go where the answers of the API say, which the tests must be able to reach.
//	EVENT_BUS      the bus, when there is more than one besides the default bus.
//
// Every script works under an org of its own ($ORG) and with identity numbers of its own, so the suite can run any
// number of times against the same system, and its scripts beside each other.
//
// # Scripts
//
// A script is a txtar archive: commands, one a line, then the files they name. Words are separated by spaces; single
// quotes keep a word together and its $ unexpanded; $NAME and ${NAME} are variables; # starts a comment. Every script
// finds set: ORG, a fresh org; BASE, the Storage API's address; APPS, the Application API's address; SHARED, the
// folder testdata; CONTRACT, the OpenAPI document. The condition [own] holds when the tests started the stack themselves.
//
// One script alone: go test ./tests/acceptance -run TestScripts/walk. On failure the last exchange is printed, with
// its tokens taken out.
//
// # The contract
//
// Every exchange, of a script or of a Go test, is held against the OpenAPI document by package contract: an answer that
// it does not have, or a request that succeeded without being allowed by it, fails the test that sent it.
//
// # Verbs
//
//	token NAME KEY=VALUE…          fetch a token, with the keys of make token, for use as -as NAME
//	random VAR DIGITS              set VAR to a random number of that many digits, the first one not 0
//	call [OPTION…] METHOD TARGET   send a request; the verbs after it look at its answer. Redirects are not followed.
//	                               TARGET is a path, or an absolute link out of an answer, of which only path and query
//	                               count. NEXT is set to the answer's link to the next page, or emptied. Options:
//	    -as NAME                       with the token NAME; without it the request has no Authorization
//	    -H 'Name: value'               a header; repeatable
//	    -json DOCUMENT                 a JSON body, in the line or in a file; ${VAR} in it is expanded
//	    -body FILE                     the file's bytes as they are; say what they are with -H Content-Type
//	crawl [OPTION…] TARGET         GET TARGET and every page after it, by _links.next or by Link rel="next", to the end;
//	                               the answer is then one JSON array of all the items. Options: -as NAME, and
//	                               -pages N, the number of pages that must have had any items
//	each FILE [-as NAME] CHECK     send every line of FILE (the words of call), and hold each answer against CHECK
//	poll SECONDS call… until CHECK repeat the call until CHECK holds, at most so long. An answer 5xx ends it at once
//
//	CHECKS, each a verb by itself; after until and in each, several are joined by the word and:
//
//	status CODE                    the status
//	problem STATUS [CODE]          an RFC 9457 problem, complete, with this status and this code
//	header NAME RULE               a header of the answer
//	json PATH RULE                 a value in the JSON body, by its path: . or .a.b[0].c; [*] takes every item of a list
//	count PATH N                   the number of items in a list
//	members PATH NAME…             an object has exactly these members
//	body RULE                      the bytes of the body
//
//	RULES:
//
//	== TEXT          equals. A JSON string is compared without its quotes, anything else as compact JSON
//	!= TEXT          is there, and differs
//	matches REGEXP   Go syntax, unanchored
//	contains TEXT    a list has the item; a text has the part
//	lacks TEXT       the opposite; of something that is there
//	exists, absent   is there at all (a body: has any bytes); null is there
//	-> VAR           keep the value in a variable; body: in a file
//	== FILE          of body: the same bytes as the file
package acceptance
