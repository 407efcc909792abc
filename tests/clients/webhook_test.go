package clients

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/webhook"
	"altinn.no/instanceapi/tests/local/workspace"
)

// verifiers are programs around the functions of the guide. Each reads lines with the tab-separated
// arguments, the body as base64, and prints true or false for each.
var verifiers = []struct {
	language, file string            // of the code in the guide
	files          map[string]string // in addition
	commands       [][]string        // compile and run; ${LOCAL} is the folder of the installed tools
}{
	{"python", "webhook.py", map[string]string{"main.py": `import base64
import sys

from webhook import verify

for line in sys.stdin:
    secret, id, timestamp, signatures, body, now = line.rstrip("\n").split("\t")
    print("true" if verify(secret, id, timestamp, signatures, base64.b64decode(body), int(now)) else "false")
`}, [][]string{{"${LOCAL}/venv/bin/python", "main.py"}}},
	{"java", "Webhook.java", map[string]string{"Main.java": `class Main {
    public static void main(String[] args) throws Exception {
        for (String line : new String(System.in.readAllBytes(), "UTF-8").split("\n")) {
            String[] f = line.split("\t", -1);
            System.out.println(Webhook.verify(f[0], f[1], f[2], f[3], java.util.Base64.getDecoder().decode(f[4]), Long.parseLong(f[5])));
        }
    }
}
`}, [][]string{{"javac", "-Xlint:all", "-Werror", "-d", ".", "Webhook.java", "Main.java"}, {"java", "Main"}}},
	{"csharp", "Webhook.cs", map[string]string{"Main.cs": `static class Program {
    static void Main() {
        string line;
        while ((line = System.Console.ReadLine()) != null) {
            string[] f = line.Split('\t');
            System.Console.WriteLine(Webhook.Verify(f[0], f[1], f[2], f[3], System.Convert.FromBase64String(f[4]), long.Parse(f[5])) ? "true" : "false");
        }
    }
}
`}, [][]string{{"mcs", "-warnaserror", "-r:System.Core.dll", "-out:Main.exe", "Webhook.cs", "Main.cs"}, {"mono", "Main.exe"}}},
	{"typescript", "webhook.ts", map[string]string{"main.ts": `import { readFileSync } from "node:fs";
import { verify } from "./webhook.js";

for (const line of readFileSync(0, "utf8").split("\n").filter((l) => l !== "")) {
  const [secret, id, timestamp, signatures, body, now] = line.split("\t");
  console.log(verify(secret!, id!, timestamp!, signatures!, Buffer.from(body!, "base64"), Number(now)));
}
`, "package.json": `{"type": "module"}`,
		"tsconfig.json": `{"compilerOptions": {"target": "es2022", "module": "nodenext", "strict": true, "noEmitOnError": true, "types": ["node"]}, "files": ["main.ts"]}`,
	}, [][]string{{"tsc"}, {"node", "main.js"}}},
}

// signatureVectors returns the lines for the programs, and whether each request is valid.
func signatureVectors(t *testing.T) (lines []string, valid []bool) {
	const id, at = "0192d3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f.2", 1795554736
	body := `{"id":"` + id + `","appId":"nav/app2018","text":"æ"}`
	secret, other := webhook.NewSecret(), webhook.NewSecret()
	sign := func(secret, body string) string {
		key, err := webhook.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		return webhook.Sign(key, id, at, []byte(body))
	}
	good := sign(secret, body)
	add := func(want bool, secret, id string, timestamp any, signatures, body string, now int64) {
		lines = append(lines, strings.Join([]string{secret, id, fmt.Sprint(timestamp), signatures, base64.StdEncoding.EncodeToString([]byte(body)), fmt.Sprint(now)}, "\t"))
		valid = append(valid, want)
	}
	// The published example of Standard Webhooks.
	add(true, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", `{"test": 2432232314}`, 1614265330)
	add(true, secret, id, at, good, body, at+299)
	add(true, secret, id, at, good, body, at-299)
	add(true, secret, id, at, sign(other, body)+" "+good, body, at)
	add(true, secret, id, at, "v2,x v1a,y "+good, body, at)
	add(false, secret, id, at, good, body, at+301)
	add(false, secret, id, at, good, body, at-301)
	add(false, secret, id, at, good, body+" ", at)
	add(false, secret, id, at, good, "", at)
	add(false, other, id, at, good, body, at)
	add(false, secret, id+"0", at, good, body, at)
	add(false, secret, id, at+1, good, body, at)
	add(false, secret, id, "x", good, body, at)
	add(false, secret, id, at, good[:len(good)-1], body, at)
	add(false, secret, id, at, strings.TrimPrefix(good, "v1,"), body, at)
	add(false, secret, id, at, strings.Replace(good, "v1,", "v2,", 1), body, at)
	add(false, secret, id, at, "", body, at)
	return lines, valid
}

// TestSignatureSamples runs the functions of the guide that verify a signature.
func TestSignatureSamples(t *testing.T) {
	root, err := workspace.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := workspace.Installed(workspace.Local(root, "clients-npm/.stamp"), "TypeScript", "install-clients"); err != nil {
		t.Fatal(err)
	}
	checkMono(t)
	guide, err := os.ReadFile(filepath.Join(root, "functions", "docs-get", "guides", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines, valid := signatureVectors(t)
	for _, v := range verifiers {
		t.Run(v.language, func(t *testing.T) {
			code := regexp.MustCompile("(?s)```" + v.language + "\n(.*?)```").FindSubmatch(guide)
			if code == nil {
				t.Fatal("the guide has no function")
			}
			folder := t.TempDir()
			files := map[string]string{v.file: string(code[1])}
			for name, content := range v.files {
				files[name] = content
			}
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(workspace.Local(root, "clients-npm", "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var printed []byte
			for _, command := range v.commands {
				command = slices.Clone(command)
				for n := range command {
					command[n] = os.Expand(command[n], func(string) string { return workspace.Local(root) })
				}
				if command[0] == "tsc" {
					command[0] = workspace.Local(root, "clients-npm", "node_modules", ".bin", "tsc")
				}
				run := exec.CommandContext(ctx, command[0], command[1:]...)
				run.Dir, run.Stdin = folder, strings.NewReader(strings.Join(lines, "\n")+"\n")
				if printed, err = run.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", command, err, printed)
				}
			}
			for n, got := range strings.Fields(string(printed)) {
				if n >= len(valid) || got != fmt.Sprint(valid[n]) {
					t.Errorf("line %d: %s for %s", n, got, lines[min(n, len(lines)-1)])
				}
			}
			if got := len(strings.Fields(string(printed))); got != len(valid) {
				t.Errorf("%d results, want %d", got, len(valid))
			}
		})
	}
}
