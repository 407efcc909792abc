package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzCreate(f *testing.F) {
	const owner = `"instanceOwnerId":"5000000001"`
	var seeds []apitest.Seed
	for _, body := range []string{
		`{` + owner + `}`, `{` + owner + `,"labels":["gr","x2"],"presentationField":"Å","dueDateTime":"2026-06-01T12:00:00+02:00","visibleDateTime":null}`,
		`{` + owner + `,` + oneForm + `}`, `{` + owner + `,"data":[{"formId":"attachment","contentType":"image/png; a=b","fileName":"C:\\..\\a%2F.png","content":"/w=="}]}`,
		`{"reportee":{"userName":"olav"}}`, `{"reportee":{"organizationNumber":"974760673"},"labels":null,"data":[null]}`, `{"reportee":{}}`, `{` + owner + `,"labels":["\ud800","\u0000",""]}`,
		`{` + owner + `,"dueDateTime":"9999-12-31T23:59:59-23:59"}`, `{` + owner + `,"dueDateTime":"0000-01-01T00:00:00Z"}`, `{` + owner + `,"data":` + strings.Repeat("[", 100),
	} {
		seeds = append(seeds, apitest.Seed{ContentType: "application/json", Body: body})
		form := "--b\r\nContent-Disposition: form-data; name=\"instance\"\r\nContent-Type: application/json\r\n\r\n" + body +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"default\"; filename=\"../a\"\r\nContent-Type: application/xml\r\n\r\n<a/>\r\n--b--\r\n"
		seeds = append(seeds, apitest.Seed{ContentType: "multipart/form-data; boundary=b", Body: form})
	}
	seeds = append(seeds, apitest.Seed{Query: "x=1", ContentType: "application/json", Body: `{` + owner + `}`}, apitest.Seed{ContentType: "text/plain", Body: "x"})
	apitest.Fuzz(f, apitest.Nav, "POST", func(t *testing.T) (*apitest.API, *instance.Instance, string) { return newAPI(t), nil, path }, seeds...)
}
