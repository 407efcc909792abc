package wellformed

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"altinn.no/instanceapi/shared/cputest"
)

func TestRejects(t *testing.T) {
	for body, want := range map[string]string{
		"":                             "has no element",
		"hei":                          "has no element",
		"<a/>\n\u00a0":                 "has text outside the root element, at line 2",
		"<a/>\n&#9;":                   "has text outside the root element, at line 2",
		"<a/>&#32;<!-- & -->":          "has text outside the root element, at line 1",
		"<!-- & -->&#x20;<a/>":         "has text outside the root element, at line 1",
		"<a":                           "ends in the middle of a tag",
		"<a>":                          "ends inside an element",
		"<a></b>":                      "has an end tag that does not match the open element",
		"<a/></a>":                     "has an end tag that does not match the open element",
		"<a/><b/>":                     "has a second root element",
		"<!DOCTYPE a><a/>":             "has a DOCTYPE",
		"<a>&x;</a>":                   "refers to an entity other than",
		"<a>Hansen & sønn</a>":         "ends in the middle of a tag, or has an &",
		`<a b="1" b="2"/>`:             "has an element with the same attribute twice",
		`<a b="1"c="2"/>`:              "has attributes without white space between them",
		`<a b=1/>`:                     "has an attribute value without quotes",
		`<a b="<"/>`:                   "has an attribute value with a <",
		`<x:a/>`:                       "has an element or attribute with a prefix that is not declared",
		`<a xmlns:x=""/>`:              "has a namespace declaration that XML does not allow",
		`<a xmlns:xml="u"/>`:           "has a namespace declaration that XML does not allow",
		"<a>]]></a>":                   "has a text with ]]>",
		"<a><!-- -- --></a>":           "has a comment with --",
		"<a><!--\x01--></a>":           "has a character that XML does not allow",
		"<a>&\x00lt;</a>":              "has a character that XML does not allow",
		"<a>\x00</a>":                  "has a character that XML does not allow",
		"<a>\uffff</a>":                "has a character that XML does not allow",
		"<a>\xed\xa0\xbd</a>":          "is not",
		"<a>\xe6</a>":                  "is not UTF-8",
		"<a>&#0;</a>":                  "has a",
		"<a>&#55357;&#56832;</a>":      "has a",
		" <?xml version='1.0'?><a/>":   "has an XML declaration that is not at the start",
		"<?xml encoding='UTF-8'?><a/>": "has a malformed XML declaration",
		"<?xml version='1.1'?><a/>":    "is not XML 1.0",
		"\xef\xbb\xbf\xef\xbb\xbf<a/>": "has text outside the root element",
		"<a spa\ufeff=''/>":            "has a name with a character",
		"<a b='>' spa\ufeff=''/>":      "has a name with a character",
		"<a>\n<?b:c ?></a>":            "has a processing instruction whose name has a colon, at line 2",
		"<a><?\ufeff ?></a>":           "has a",
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="b"></b>`:        "has an end tag that does not match",
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="b"><c></b></a>`: "has an end tag that does not match",
		"<\U0001f600/>":                                                      "has a",
		strings.Repeat("<a>", 1_000_000):                                     "nests deeper than 64 levels",
		"<a>" + strings.Repeat("x", MaxText+1) + "</a>":                      "has a text or a tag of more than 32000000 bytes",
		"<a" + manyAttributes(257) + "/>":                                    "has an element with more than 256 attributes",
		`<?xml version="1.0" encoding = "ISO-8859-1"?><a/>`:                  "declares another encoding than UTF-8 or US-ASCII",
		"<?xml version='1.0' encoding='UTF-16'?><a/>":                        "declares another encoding than UTF-8 or US-ASCII",
		"<?xml version='1.0' encoding='us-ascii'?>\n\n<a>\u00e5</a>":         "declares US-ASCII but has other characters; declare UTF-8, at line 3",
		"<?xml version='1.0' encoding='us-ascii'standalone='yes'?>\n<a></a>": "has a malformed XML declaration",
		"<?xml version='1.0'encoding='us-ascii'?>\n<a></a>":                  "has a malformed XML declaration",
	} {
		err := XML(t.Context(), []byte(body))
		if _, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", body, err, want)
		}
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}

func manyLocations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "urn:%d x ", i)
	}
	return b.String()
}

func TestAccepts(t *testing.T) {
	for _, body := range []string{
		`<a/>`,
		"<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<a/>\n",
		"\xef\xbb\xbf<?xml version=\"1.0\"?><a/>",
		"<?xml version='1.0' encoding='us-ascii'?><a/>",
		"<?xml version='1.0' encoding=\n\"US-ASCII\" standalone='no' ?><a>&#229;</a>",
		"<!-- & --><?style & ?>\n<a b='/>'>&#9;<![CDATA[</b>&]]]><b />&#9;</a><!-- &#9; -->\n<?x ??>",
		strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64),
		"<a" + manyAttributes(256) + "/>",
		"<a b='&lt;>\u00e5'>&amp;&#230;&#x1F600;<![CDATA[<&]]></a>",
		`<a xmlns:x="u" b="1" x:b="2" xml:lang="nb"/>`,
		"<skjema><b\u00e5t-\u00b7 \u00e6='1'/></skjema>",
		"<a>" + strings.Repeat("<b/>", 600_000) + "</a>",
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="b"><c i:nil="x"/></a>`,
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" i:type="x:IDREFS">` + strings.Repeat("a ", 200_000) + `</a>`,
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="` + strings.Repeat("urn:a urn:b ", 300) + `"/>`,
		`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="` + manyLocations(1000) + `" i:noNamespaceSchemaLocation="%"/>`,
		"<a>" + strings.Repeat("x", 4_300_000) + "</a>",
	} {
		if err := XML(t.Context(), []byte(body)); err != nil {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

// TestReader checks that the reader's and the context's errors end the check.
func TestReader(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader(t.Context(), io.MultiReader(strings.NewReader("<a>"), iotest.ErrReader(broken)))
	if _, err := io.ReadAll(r); !errors.Is(err, broken) || !errors.Is(r.Err(), broken) {
		t.Errorf("got %v and %v", err, r.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := XML(ctx, []byte("<a/>")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r = NewReader(t.Context(), iotest.OneByteReader(strings.NewReader("\ufeff<?xml version='1.0' encoding='US-ASCII'?><a>x</a>")))
	if text, err := io.ReadAll(r); err != nil || string(text) != "<?xml version='1.0' encoding   ='UTF-8'?><a>x</a>" {
		t.Errorf("got %s, %v", text, err)
	}
}

// TestTimeIsLinear compares documents that repeat one construct with four times as much of it.
func TestTimeIsLinear(t *testing.T) {
	for name, part := range map[string]string{
		"elements": "<b/>", "comments": "<!-->-->", "instructions": "<?b <?>", "CDATA": "<![CDATA[]]>", "tags": "<b c='<'/>", "names": "<\u00e5 b='>'/>",
	} {
		body := func(n int) []byte { return []byte("<a>" + strings.Repeat(part, n) + "</a>") }
		small, large := body(50_000), body(200_000)
		base := cputest.Baseline(t, func() { _ = XML(t.Context(), small) })
		if took := cputest.Time(t, func() { _ = XML(t.Context(), large) }); took > 12*base {
			t.Errorf("%s: %s, and %s for a quarter", name, took, base)
		}
	}
}

// TestAgreesWithExpat compares the verdicts on mutated documents with those of expat, which Python
// includes.
func TestAgreesWithExpat(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	documents := make([][]byte, 20_000)
	for n := range documents {
		documents[n] = mutate(random, seeds[random.IntN(len(seeds))])
	}
	compared, accepted := startExpat(t).compare(t, documents)
	if compared < len(documents)/2 || accepted < compared/20 {
		t.Errorf("compared %d of %d documents, %d of them well-formed", compared, len(documents), accepted)
	}
}

func FuzzAgreesWithExpat(f *testing.F) {
	for n, seed := range seeds {
		f.Add(uint64(n), seed)
	}
	process := startExpat(f)
	f.Fuzz(func(t *testing.T, seed uint64, body string) {
		process.compare(t, [][]byte{mutate(rand.New(rand.NewPCG(seed, 3)), body)})
	})
}

// expat reads one document per line, in base64, and prints for each whether expat accepts it:
// true, false, or null for a document outside the comparison: one with a DOCTYPE, in an encoding
// other than UTF-8 and US-ASCII, with another version than 1.0, or over a limit.
const expat = `
import base64, json, sys
from xml.parsers import expat
def verdict(body):
    skip = [body.startswith((b"\xff\xfe", b"\xfe\xff", b"\0<", b"<\0"))]
    depth = [0]
    def start(name, attributes):
        depth[0] += 1
        skip.append(depth[0] > 64 or len(attributes) > 256)
    def end(name):
        depth[0] -= 1
    def declaration(version, encoding, standalone):
        name = (encoding or "UTF-8").upper()
        skip.append(version != "1.0" or name not in ("UTF-8", "US-ASCII"))
    parser = expat.ParserCreate(namespace_separator="\x01")
    parser.StartDoctypeDeclHandler = lambda *_: skip.append(True)
    parser.XmlDeclHandler, parser.StartElementHandler, parser.EndElementHandler = declaration, start, end
    try:
        parser.Parse(body, True)
        accepted = True
    except (expat.ExpatError, LookupError, ValueError):
        accepted = False
    return None if any(skip) else accepted
for line in sys.stdin.buffer:
    print(json.dumps(verdict(base64.b64decode(line))), flush=True)
`

// expatProcess is a running Python process.
type expatProcess struct {
	in  io.Writer
	out *bufio.Scanner
}

func startExpat(t testing.TB) *expatProcess {
	t.Helper()
	cmd := exec.Command("python3", "-c", expat)
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatalf("this test needs python3 with pyexpat: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	return &expatProcess{in, bufio.NewScanner(out)}
}

// compare reports each document on which the verdicts differ. It returns how many documents it
// compared, and how many of these are well-formed.
func (o *expatProcess) compare(t *testing.T, documents [][]byte) (compared, accepted int) {
	t.Helper()
	go func() {
		for _, d := range documents {
			_, _ = io.WriteString(o.in, base64.StdEncoding.EncodeToString(d)+"\n") // if this fails, Scan fails too
		}
	}()
	for _, d := range documents {
		if !o.out.Scan() {
			t.Fatalf("expat has ended: %v", o.out.Err())
		}
		verdict := o.out.Text()
		if verdict == "null" {
			continue
		}
		compared++
		err := XML(t.Context(), d)
		if err == nil {
			accepted++
		}
		if (err == nil) != (verdict == "true") {
			t.Errorf("%q: %v, but expat accepts it: %s", d, err, verdict)
		}
	}
	return compared, accepted
}

var seeds = []string{
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<!-- c -->\n<m xmlns=\"urn:a\" xmlns:p=\"urn:b\" p:x=\"1\" y='2'><?pi data?><p:navn>K\u00e5ri &amp; &#229; &#x1F600;</p:navn><![CDATA[ x ]]>\r\n<e/></m>\n<!-- end -->",
	"<r><a b=\"c&lt;d\" c=\">\">t]]&gt;</a><b xml:lang=\"nb\" xml:space=\"preserve\"/></r>",
	"<?xml version='1.0' encoding='us-ascii'?><a:r xmlns:a=\"u\"><a:b a:c=\"1\" xmlns:q=\"u\" q:d=\"2\"></a:b></a:r>",
	"\ufeff<r xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"></r >",
	"<\u00e5\u00f8 \u00e6=\"\u20ac\">\U0001f600\u00b7</\u00e5\u00f8>",
	"<a/>",
	`<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" i:type="x:int" i:schemaLocation="u v"><b i:nil="1"/>1</a>`,
}

var fragments = []string{
	"<", ">", "/", "?", "!", "&", ";", "#", `"`, "'", "=", " ", "\t", "\r", "\n", ":", "-", "--", "-->", "<!--", "<![CDATA[", "]]>", "&#", "&#x", "&amp;", "&foo;",
	"&#55357;", "&#0;", "&#xD800;", "&#x10FFFF;", "&#x110000;", "&#65534;", "&#9;", "&#12;", "&#x00000041;", "&#-1;", "xmlns", "xmlns:", `xmlns:a=""`, `xmlns=""`,
	`xmlns:xml="u"`, `xmlns:xmlns="u"`, `xmlns:q="http://www.w3.org/XML/1998/namespace"`, `xmlns:xml="http://www.w3.org/XML/1998/namespace"`,
	`xmlns:q="http://www.w3.org/2000/xmlns/"`, `xmlns="http://www.w3.org/XML/1998/namespace"`, "xml", "XML", "<?xml?>", "<?xml version=\"1.0\"?>", "<?XML ?>", "<?a?>", "<?a:b ?>",
	"<?", "?>", "\x00", "\x01", "\x0b", "\x7f", "\x80", "\u0085", "\u2028", "\ufffe", "\uffff", "\xed\xa0\xbd", "\xc0\x80", "\xf4\x90\x80\x80", "\ufeff", "\u00d7", "\u00b7",
	"\u0300", "\U0001f600", "\u3000", "\u1371", "\u0132", "\u037e", "\u212e", "a", "1", ".", "_", "<b>", "</b>", "<b/>", ` a="1"`, ` a="1"b="2"`, "a:b", "a:", ":a", "a:b:c",
	`encoding="UTF-8"`, `encoding='us-ascii'`, `standalone="no"`, `version="1.0"`, ` encoding = "UTF-8"`, `xml:x="1"`, "x:y='1'", "<x:a xmlns:x='v'/>",
}

// mutate returns a document with one to three random changes.
func mutate(r *rand.Rand, body string) []byte {
	d := []byte(body)
	for range []int{1, 1, 1, 2, 3}[r.IntN(5)] {
		at := r.IntN(len(d) + 1)
		to := min(len(d), at+1+r.IntN(4))
		switch r.IntN(5) {
		case 0:
			d = slices.Replace(d, at, to, []byte(fragments[r.IntN(len(fragments))])...)
		case 1:
			d = slices.Delete(d, at, to)
		case 2:
			d = slices.Insert(d, at, byte(r.IntN(256)))
		case 3:
			from := r.IntN(len(d) + 1)
			d = slices.Insert(d, at, slices.Clone(d[from:min(len(d), from+20)])...)
		default:
			d = slices.Insert(d, at, []byte(fragments[r.IntN(len(fragments))])...)
		}
	}
	return d
}
