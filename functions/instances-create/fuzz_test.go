package main

import (
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func FuzzCreateMany(f *testing.F) {
	var seeds []apitest.Seed
	for _, body := range []string{
		`{"items":[` + itemOf("a", kari) + `]}`, `{"items":[` + itemOf("a", kari+","+form) + `,` + itemOf("b", `"reportee":{"userName":"olav"}`) + `]}`,
		`{"items":[` + itemOf("a", kari) + `,` + itemOf("a", kari) + `]}`, `{"items":[null]}`, `{"items":[{"key":1e999}]}`, `{"items":[[]]}`, `{"items":{}}`,
		`{"items":[` + itemOf("a", kari+`,"labels":["\ud800"],"dueDateTime":1e999`) + `]}`, `{"items":[{"key":"a","data":` + strings.Repeat("[", 100),
		`{"items":[` + itemOf("a", kari+`,"data":[null,{"content":"/w=="}]`) + `,{"key":"b","key":"c"}]}`,
	} {
		seeds = append(seeds, apitest.Seed{ContentType: "application/json", Body: body})
	}
	seeds = append(seeds, apitest.Seed{Query: "x=1", ContentType: "application/json", Body: `{"items":[` + itemOf("a", kari) + `]}`})
	apitest.Fuzz(f, apitest.Nav, "POST", func(t *testing.T) (*apitest.API, *instance.Instance, string) { return newAPI(t), nil, path }, seeds...)
}
