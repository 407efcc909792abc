package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// With -json, standard output has a JSON line for each submission, also for a failed one, and a
// summary. No line has a file name of a client.
func TestJSON(t *testing.T) {
	f, dir := newFake(t), t.TempDir()
	good, bad := f.submit("12247918309.pdf", "the form"), f.submit("b.xml", "another")
	f.reject = rejectEvery(bad, 400, "body-invalid")
	status, out, stderr := f.drain(commands[0], dir, "-json", "-on-complete", "echo")
	folder := filepath.Join(dir, "inbox", good.folder())
	want := []string{
		fmt.Sprintf(`{"type":"submission","state":"confirmed","instanceOwnerId":"5064120983","instanceGuid":%q,"submittedDateTime":%q,"folder":%q,`+
			`"files":[{"dataElementId":%q,"file":"%[4]s.pdf","size":8,"sha256":"2c0142d9179adb75d5a403b4078df4be0687aace8507da3ec14b00e578a14897"}]}`,
			good.guid, stamp(good.submitted), folder, good.files[0].guid),
		fmt.Sprintf(`{"type":"submission","state":"failed","instanceOwnerId":"5064120983","instanceGuid":%q,"submittedDateTime":%q,`+
			`"error":"400 body-invalid: d (traceId t)"}`, bad.guid, stamp(bad.submitted)),
		`{"type":"summary","instances":1,"files":1,"bytes":8,"left":1,"failed":1,"waiting":0,"blocked":0}`,
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if status != exitFailed || len(lines) != len(want) {
		t.Fatalf("exit status %d, out\n%s\n%s", status, out, stderr)
	}
	for n := range want {
		if !jsonContains(t, lines, want[n]) {
			t.Errorf("no line is %s in\n%s", want[n], out)
		}
	}
	if lines[2] != want[2] || strings.Contains(out+stderr, "12247918309") {
		t.Errorf("the last line is not the summary, or the output has a client's file name:\n%s\n%s", out, stderr)
	}
}

func jsonContains(t *testing.T, lines []string, want string) bool {
	t.Helper()
	normalize := func(line string) string {
		var document any
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		text, _ := json.Marshal(document) // sorts the members
		return string(text)
	}
	for _, line := range lines {
		if normalize(line) == normalize(want) {
			return true
		}
	}
	return false
}
