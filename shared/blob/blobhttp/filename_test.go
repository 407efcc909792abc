package blobhttp

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFileName(t *testing.T) {
	for _, test := range []struct{ name, header, want string }{
		{"none", "", ""},
		{"no name", "attachment", ""},
		{"token", "attachment; filename=skjema.xml", "skjema.xml"},
		{"quoted", `attachment; filename="min fil.pdf"`, "min fil.pdf"},
		{"case", `Attachment; FileName="a.pdf"`, "a.pdf"},
		{"form data", `form-data; name="x"; filename="a.pdf"`, "a.pdf"},
		{"UTF-8", `attachment; filename*=UTF-8''s%C3%B8knad%20%C3%A5r.pdf`, "søknad år.pdf"},
		{"UTF-8 with language", `attachment; filename*=utf-8'nb'%C3%A6.pdf`, "æ.pdf"},
		{"extended preferred", `attachment; filename="soknad.pdf"; filename*=UTF-8''s%C3%B8knad.pdf`, "søknad.pdf"},
		{"extended preferred, first", `attachment; filename*=UTF-8''s%C3%B8knad.pdf; filename="soknad.pdf"`, "søknad.pdf"},
		{"extended in an unknown charset", `attachment; filename="soknad.pdf"; filename*=koi8-r''%C1`, "soknad.pdf"},
		{"extended decoded once", `attachment; filename*=UTF-8''100%2525.pdf`, "100%25.pdf"},
		{"extended and empty", `attachment; filename="x.xml"; filename*=UTF-8''`, "x.xml"},
		{"extended and empty, first", `attachment; filename*=UTF-8''; filename="x.xml"`, "x.xml"},
		{"extended and empty, quoted", `attachment; filename*="UTF-8''"; filename=x.xml`, "x.xml"},
		{"extended in Latin-1 and empty", `attachment; filename*=ISO-8859-1''; filename="x.xml"`, "x.xml"},
		{"extended in Latin-1 and empty, quoted", `attachment; filename*="ISO-8859-1''"; filename="x.xml"`, "x.xml"},
		{"only extended and empty", `attachment; filename*=UTF-8''`, ""},
		{"extended in Windows-1252", `attachment; filename*=windows-1252''s%F8knad.pdf`, "søknad.pdf"},
		{"extended in Windows-1252, quoted", `attachment; filename*="Windows-1252''s%F8knad.pdf"`, "søknad.pdf"},
		{"extended in latin1", `attachment; filename*=latin1'nb's%F8knad.pdf`, "søknad.pdf"},
		{"continuations", `attachment; filename*0*=UTF-8''%C3%A5; filename*1=".xml"`, "å.xml"},
		{"continuations in Latin-1", `attachment; filename*0*=ISO-8859-1''%E5; filename*1=.xml`, "å.xml"},
		{"continuations in Latin-1, quoted, in another order", `attachment; filename*2=".xml"; filename*1*=%F8%20; filename*0*=iso-8859-1'nb'%E5; filename="a.xml"`, "åø .xml"},
		{"continuations in Latin-1, with a path", `attachment; filename*0*=ISO-8859-1''..%2F; filename*1*=%E5.xml`, "å.xml"},
		{"continuations in Latin-1, malformed", `attachment; filename*0*=ISO-8859-1''%E5; x y; filename="x.xml"`, "x.xml"},
		{"extended in Latin-1", `attachment; filename*=ISO-8859-1''s%F8knad%20%E5r.pdf`, "søknad år.pdf"},
		{"extended in Latin-1, preferred", `attachment; filename="soknad.pdf"; filename*=iso-8859-1'nb'%F8.pdf`, "ø.pdf"},
		{"extended in Latin-1, first", `attachment; filename*=iso-8859-1''%F8.pdf ; filename="soknad.pdf"`, "ø.pdf"},
		{"extended in Latin-1, quoted", `attachment; filename*="ISO-8859-1''%F8.pdf"`, "ø.pdf"},
		{"extended in Latin-1, with a path", `attachment; filename*=ISO-8859-1''..%2F%F8.pdf%00`, "ø.pdf"},
		{"extended in Latin-1, not fully encoded", `attachment; filename*=ISO-8859-1''100 %.pdf`, "100 %.pdf"},
		{"extended in Latin-1 inside a plain name", `attachment; filename="a; filename*=iso-8859-1''b.pdf"`, "a; filename*=iso-8859-1''b.pdf"},
		{"encoded word", `attachment; filename="=?utf-8?B?w6UueG1s?="`, "å.xml"},
		{"encoded word, not quoted", `form-data; name=default; filename==?utf-8?B?w6UueG1s?=`, "å.xml"},
		{"encoded word in quoted-printable", `attachment; filename="=?UTF-8?Q?s=C3=B8knad_=C3=A5r.pdf?="`, "søknad år.pdf"},
		{"encoded word in Latin-1", `attachment; filename="=?iso-8859-1?q?=E5.xml?="`, "å.xml"},
		{"encoded word in Windows-1252", `attachment; filename="=?Windows-1252?Q?=E5.xml?="`, "å.xml"},
		{"encoded word in latin1", `attachment; filename="=?latin1?B?5S54bWw=?="`, "å.xml"},
		{"encoded words", `attachment; filename="=?utf-8?B?w6U=?= =?utf-8?B?w6U=?=.xml"`, "åå.xml"},
		{"encoded words inside a character", `attachment; filename="=?utf-8?B?YcM=?= =?utf-8?B?pS54bWw=?="`, "aå.xml"},
		{"encoded word and extended", `attachment; filename="=?utf-8?B?w6UueG1s?="; filename*=utf-8''%C3%A5.xml`, "å.xml"},
		{"encoded word with a slash in its base64", `attachment; filename="=?utf-8?B?Pz8/LnhtbA==?="`, "???.xml"},
		{"encoded word with a path", `attachment; filename="=?utf-8?Q?..=2F..=2Fa=0D=0A=E2=80=AE.xml?="`, "a.xml"},
		{"encoded word decoded once", `attachment; filename="=?utf-8?Q?100=2525.xml?="`, "100%25.xml"},
		{"encoded word in an unknown charset", `attachment; filename="=?koi8-r?B?wQ==?="`, "=?koi8-r?B?wQ==?="},
		{"encoded word that is malformed", `attachment; filename="=?utf-8?B?w"`, "=?utf-8?B?w"},
		{"raw UTF-8", `attachment; filename="søknad.pdf"`, "søknad.pdf"},
		{"raw UTF-8 read as Latin-1", "attachment; filename=\"s\u00c3\u00b8knad.pdf\"", "søknad.pdf"},
		{"Latin-1 letters that are not UTF-8", "attachment; filename=\"s\u00f8knad.pdf\"", "søknad.pdf"},
		{"percent-encoded", `attachment; filename="s%C3%B8knad%20%C3%A5r.pdf"`, "søknad år.pdf"},
		{"percent sign", `attachment; filename="100 %.pdf"`, "100 %.pdf"},
		{"percent-encoded Latin-1", `attachment; filename="s%F8knad.pdf"`, "s%F8knad.pdf"},
		{"escaped quotes", `attachment; filename="den \"store\".pdf"`, `den "store".pdf`},
		{"unquoted with spaces", `attachment; filename=min fil.pdf; size=3`, "min fil.pdf"},
		{"unquoted UTF-8", `attachment; filename=søknad.pdf`, "søknad.pdf"},
		{"extended not fully encoded", `attachment; filename="x.pdf"; filename*=UTF-8''s%C3%B8knad (1).pdf`, "søknad (1).pdf"},
		{"without a type", `filename="a.pdf"`, "a.pdf"},
		{"not closed", `attachment; filename="a.pdf`, "a.pdf"},
		{"other parameter", `attachment; x-filename=a.pdf`, ""},
		{"path", `attachment; filename="/etc/passwd"`, "passwd"},
		{"path up", `attachment; filename="../../a.pdf"`, "a.pdf"},
		{"encoded path", `attachment; filename*=UTF-8''..%2F..%2Fa.pdf`, "a.pdf"},
		{"windows path", `attachment; filename="C:\Users\kari\a.pdf"`, "a.pdf"},
		{"only path", `attachment; filename="../.."`, ""},
		{"dots", `attachment; filename=".."`, ""},
		{"trailing dots", `attachment; filename="a.pdf. ."`, "a.pdf"},
		{"hidden file", `attachment; filename=".profile"`, ".profile"},
		{"line break", `attachment; filename*=UTF-8''a%0D%0AX-Evil%3A%20b.pdf`, "aX-Evil: b.pdf"},
		{"nul", `attachment; filename*=UTF-8''a.exe%00.pdf`, "a.exe.pdf"},
		{"right to left", `attachment; filename*=UTF-8''a%E2%80%AEfdp.exe`, "afdp.exe"},
		{"zero width", `attachment; filename*=UTF-8''a%E2%80%8B%EF%BB%BF.pdf`, "a.pdf"},
		{"not UTF-8", `attachment; filename*=UTF-8''a%FF.pdf`, "a_.pdf"},
		{"long", `attachment; filename="` + strings.Repeat("x", 300) + `.pdf"`, strings.Repeat("x", 146) + ".pdf"},
		{"long, of two bytes each", `attachment; filename*=UTF-8''` + strings.Repeat("%C3%B8", 100) + `.docx`, strings.Repeat("ø", 72) + ".docx"},
		{"long extension", `attachment; filename="a.` + strings.Repeat("x", 300) + `"`, "a." + strings.Repeat("x", 148)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := FileName(test.header); got != test.want {
				t.Errorf("FileName(%q) = %q, want %q", test.header, got, test.want)
			}
		})
	}
}

// SafeName does not percent-decode. It removes dots and any kind of space from the end.
func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"100%25.pdf": "100%25.pdf", "a%2Fb.pdf": "a%2Fb.pdf", `den "store".pdf`: `den "store".pdf`, "..\u00a0": "", "a.pdf.\u2003 .": "a.pdf",
		"\u00a0.\u00a0": "", "../..\u3000": "", "a\r\nb": "ab", "\u00a0a": "a", "": "",
		"a\u3164.pdf": "a.pdf", "\U000E04C1": "", "\u2764\ufe0f.txt": "\u2764\ufe0f.txt",
		// Joiners and tags stay where they change what a reader sees.
		"👨\u200d👩\u200d👧.jpg": "👨\u200d👩\u200d👧.jpg", "❤\ufe0f\u200d🔥.png": "❤\ufe0f\u200d🔥.png", "می\u200cخواهم.pdf": "می\u200cخواهم.pdf",
		"🏴\U000E0067\U000E0062\U000E007F.txt": "🏴\U000E0067\U000E0062\U000E007F.txt",
		"a.p\u200ddf":                         "a.pdf", "a.exe\u200d": "a.exe", "\u200då.txt": "å.txt", "å\u200d.txt": "å.txt", "å\u200d\u200då": "å\u200då", "å\u200d\u202eå": "å\u200då",
		"å\u200d\u00a0å": "å\u00a0å", "a\U000E0067.txt": "a.txt", "👨\u200d\U000E0067👩": "👨👩",
		strings.Repeat("👨\u200d", 30) + "👨.png": strings.Repeat("👨\u200d", 20) + "👨.png",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDisposition(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"", "attachment"},
		{"..", "attachment"},
		{"a.pdf", `attachment; filename="a.pdf"; filename*=UTF-8''a.pdf`},
		{"min fil.pdf", `attachment; filename="min fil.pdf"; filename*=UTF-8''min%20fil.pdf`},
		{"søknad.pdf", `attachment; filename="s_knad.pdf"; filename*=UTF-8''s%C3%B8knad.pdf`},
		{`a"; filename="b.exe`, `attachment; filename="a_; filename=_b.exe"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe`},
		{"a\r\nX-Evil: b", `attachment; filename="aX-Evil: b"; filename*=UTF-8''aX-Evil%3A%20b`},
		{"../x/a.pdf", `attachment; filename="a.pdf"; filename*=UTF-8''a.pdf`},
		{"a\u202efdp.exe", `attachment; filename="afdp.exe"; filename*=UTF-8''afdp.exe`},
		{"100%25.pdf", `attachment; filename="100_25.pdf"; filename*=UTF-8''100%2525.pdf`},
		{"日本.pdf", `attachment; filename="__.pdf"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf`},
	} {
		if got := disposition(test.name); got != test.want {
			t.Errorf("disposition(%q)\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// For any file name, the Content-Disposition of the download is one well-formed line and names the
// stored file.
func FuzzFileName(f *testing.F) {
	for _, seed := range []string{
		`attachment; filename="a.pdf"`, `attachment; filename*=UTF-8''s%C3%B8knad.pdf`, `a; filename=" "`, "filename=\xff", `x; filename*0="a"; filename*1=b`,
		"attachment; filename=\"s\u00c3\u00b8.pdf\"", `filename="` + strings.Repeat("ø", 200),
		"x; filename*=iso-8859-1''%E5.xml", `x; filename="a; filename*=iso-8859-1''b"`, `x; filename="=?utf-8?B?w6UueG1s?="`, `x; filename*=utf-8''=%3Futf-8%3FB%3Fw6UueG1s%3F=`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		name := FileName(header)
		if len(name) > maxNameBytes || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\r\n\x00\u202e") || SafeName(name) != name {
			t.Fatalf("FileName(%q) = %q", header, name)
		}
		sent := disposition(name)
		if strings.ContainsFunc(sent, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Fatalf("disposition(%q) = %q", name, sent)
		}
		kind, params, err := mime.ParseMediaType(sent)
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Fatalf("disposition(%q) = %q is parsed as %q, %v", name, sent, params["filename"], err)
		}
		if again := FileName(sent); again != name {
			t.Fatalf("FileName(%q) = %q, want %q", sent, again, name)
		}
	})
}
