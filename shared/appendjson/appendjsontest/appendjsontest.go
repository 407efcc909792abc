// Package appendjsontest provides what package appendjson's writing is compared with in tests.
package appendjsontest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// bare undoes the escapes that need not be. None of them is in the JSON of a string that has a backslash of its own before such
// letters: it would have two.
var bare = strings.NewReplacer(`\\`, `\\`, `\ufffd`, "\ufffd", `\u2028`, "\u2028", `\u2029`, "\u2029")

// Marshal returns v as encoding/json writes it when it is not to escape HTML, but that no character stands escaped that need
// not be.
func Marshal(v any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bare.Replace(strings.TrimSuffix(text.String(), "\n")), err
}
