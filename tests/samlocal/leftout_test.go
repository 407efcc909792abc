package samlocal

// leftOut has the tests of tests/acceptance that do not run under `sam local`, with the reason; a
// script would be "TestScripts/walk". The run prints them. All tests that use the system run.
var leftOut = map[string]string{
	"TestChecksFail":          harnessOnly,
	"TestExchangeHidesTokens": harnessOnly,
	"TestHarness":             harnessOnly,
	"TestProblemIsComplete":   harnessOnly,
	"TestWalkReader":          harnessOnly,
}

const harnessOnly = "it tests the test harness and sends no request to the system"
