// Package xmllint compares the verdicts of shared/xsd with those of xmllint on the cases of
// shared/xsd and on mutations of them.
package xmllint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/xsd"
)

const cases = "../../shared/xsd/testdata/cases"

// xmllintIsWrong matches the documents on which xmllint is known to be wrong.
var xmllintIsWrong = map[string]*regexp.Regexp{
	"numbers of many digits are invalid":          regexp.MustCompile(`[0-9]{20}`),
	"an exponent without digits is valid":         regexp.MustCompile(`[0-9.][eE][-+]?\s*<`),
	"a namespace with white space is invalid":     regexp.MustCompile(`xmlns:?\w*=["'][^"']*\s`),
	"white space around a value makes it invalid": regexp.MustCompile(`>\s+[^\s<][^<]*<|>[^<]*[^\s<]\s+<`),
}

// mutations is the number of mutations of each document.
const mutations = 20

func TestAgreesWithXmllint(t *testing.T) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Fatal("xmllint is missing: apt install libxml2-utils")
	}
	schemas, err := filepath.Glob(cases + "/*.xsd")
	if err != nil || len(schemas) == 0 {
		t.Fatalf("%d schemas: %v", len(schemas), err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	compared, differ := 0, map[string]int{}
	for _, path := range schemas {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		quoted, err := json.Marshal(string(text))
		if err != nil {
			t.Fatal(err)
		}
		s, issues, err := xsd.Compile(t.Context(), application.DataType{XSD: quoted})
		if err != nil {
			t.Fatal(err)
		}
		bodies, err := filepath.Glob(strings.TrimSuffix(path, ".xsd") + ".*.xml")
		if err != nil {
			t.Fatal(err)
		}
		var documents [][]byte
		for _, name := range bodies {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, body)
			for range mutations {
				documents = append(documents, mutate(random, body))
			}
		}
		if len(documents) == 0 {
			documents = [][]byte{[]byte("<r/>")}
		}
		compiles, valid := xmllint(t, path, documents)
		if compiles != (len(issues) == 0) {
			t.Errorf("%s: issues %v, xmllint compiles it: %t", filepath.Base(path), issues, compiles)
		}
		if s == nil || !compiles {
			continue
		}
		for n, body := range documents {
			issues, err := s.Validate(t.Context(), xsd.InMemory(body))
			if err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			compared++
			if (len(issues) == 0) == valid[n] {
				continue
			}
			if why := knownDifference(body); why != "" {
				differ[why]++
				continue
			}
			t.Errorf("%s: %.500q: issues %v, valid for xmllint: %t", filepath.Base(path), body, issues, valid[n])
		}
	}
	if compared < 1000 {
		t.Errorf("compared %d documents", compared)
	}
	t.Logf("compared %d documents; known differences: %v", compared, differ)
}

func knownDifference(body []byte) string {
	for why, pattern := range xmllintIsWrong {
		if pattern.Match(body) {
			return why
		}
	}
	return ""
}

// Lines of xmllint's output.
var (
	validates = regexp.MustCompile(`(?m)^(\S+) validates$`)
	namespace = regexp.MustCompile(`(?m)^(\S+):[0-9]+: namespace error `) // which does not make the document invalid
	noSchema  = "WXS schema"
)

// xmllint reports whether xmllint compiles the schema, and which documents it finds valid.
func xmllint(t *testing.T, schema string, documents [][]byte) (compiles bool, valid []bool) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--schema", schema}
	for n, body := range documents {
		path := filepath.Join(dir, fmt.Sprintf("%d.xml", n))
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), "xmllint", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // its status is not 0 if a document is invalid
	valid = make([]bool, len(documents))
	mark := func(line *regexp.Regexp, as bool) {
		for _, match := range line.FindAllStringSubmatch(out.String(), -1) {
			var n int
			if _, err := fmt.Sscanf(filepath.Base(match[1]), "%d.xml", &n); err == nil && n < len(valid) {
				valid[n] = as
			}
		}
	}
	mark(validates, true)
	mark(namespace, false)
	return !strings.Contains(out.String(), noSchema), valid
}

var fragments = []string{
	"1", "-1", "0", " ", "x", "true", "2026-02-28", "2026-13-01", "12:00:00", "Z", "+01:00", ".", "00", "ja", "<a/>", "<Linje/>", " xsi:nil='true'", "A", "\u00e6", "9", "e", "INF", "NaN",
}

// mutate returns a document with one change.
func mutate(r *rand.Rand, body []byte) []byte {
	at := r.IntN(len(body) + 1)
	to := min(len(body), at+r.IntN(3))
	with := fragments[r.IntN(len(fragments))]
	if r.IntN(3) == 0 {
		with = ""
	}
	return slices.Replace(slices.Clone(body), at, to, []byte(with)...)
}
