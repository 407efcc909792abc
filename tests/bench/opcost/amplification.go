package opcost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"altinn.no/instanceapi/shared/instance"
)

// Amplified is the consumption of one request for an instance whose document has the maximum number
// of data elements and labels, with text that compresses least.
type Amplified struct {
	Name   string
	Bytes  int // of the request's body
	Writes int // write units, with those of the indexes
	Calls  int // to AWS
}

// fixedUnits and unitsPerKilobyte bound the write units of every request: fixedUnits, and
// unitsPerKilobyte for each 1,024 bytes of the body.
const (
	fixedUnits       = 250
	unitsPerKilobyte = 2
)

// bound returns the maximum number of write units.
func (a Amplified) bound() int { return fixedUnits + unitsPerKilobyte*a.Bytes/1024 }

// MeasureAmplification sends the requests that write, one after the other, for one instance with
// the largest document.
func MeasureAmplification(ctx context.Context) ([]Amplified, error) {
	s, err := open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	w := &walk{env: s, app: app}
	var measured []Amplified
	measure := func(name string, q request) error {
		if _, err := s.recorder.Take(); err != nil {
			return err
		}
		response, err := s.send(ctx, q)
		calls, checkErr := s.recorder.Take()
		if err := errors.Join(err, checkErr); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if w.i == nil {
			w.i = &instance.Instance{AppID: app, InstanceOwnerID: party}
			w.i.ID, _ = response["id"].(string)
		}
		row := s.row(calls)
		measured = append(measured, Amplified{name, len(q.body), row.Writes, row.Calls})
		w.i, err = w.stored.Get(ctx, w.i.InstanceOwnerID, w.i.ID)
		return err
	}
	if err := measure("create", request{as: s.owner, method: "POST", path: "/" + app + "/instances", body: largestCreation(), want: 201}); err != nil {
		return nil, err
	}
	// The texts that actors add: a substatus, and as many reasons as an instance keeps.
	random := rand.New(rand.NewPCG(3, 3))
	substatus := fmt.Sprintf(`{"label":"%s","description":"%s"}`, letters(random, instance.MaxSubstatusLabel), letters(random, instance.MaxSubstatusDescription))
	if err := measure("set a substatus", request{as: s.owner, method: "PUT", path: w.self() + "/substatus", body: substatus, want: 200}); err != nil {
		return nil, err
	}
	for range instance.MaxNotes / 2 {
		for _, step := range []string{"Submit", "FormFilling"} {
			body := fmt.Sprintf(`{"currentStep":%q,"reason":"%s"}`, step, letters(random, instance.MaxReason))
			if err := measure("move to "+step+" with a reason", request{as: s.owner, method: "PUT", path: w.self() + "/workflow", body: body, want: 200}); err != nil {
				return nil, err
			}
		}
	}
	for _, test := range []struct {
		name string
		q    func() request
	}{
		{"replace a data element", func() request {
			return request{as: s.user, method: "PUT", path: w.element(0), contentType: "application/xml", body: "<a/>", want: 200}
		}},
		{"delete a data element", func() request {
			return request{as: s.user, method: "DELETE", path: w.element(1), want: 200}
		}},
		{"add a data element", func() request {
			return request{as: s.user, method: "POST", path: w.self() + "/data?formId=attachment", contentType: "application/pdf", body: "x", want: 201, header: w.key()}
		}},
		{"change all labels", func() request {
			return request{as: s.owner, method: "PATCH", path: w.self(), contentType: "application/merge-patch+json", body: `{"labels":` + randomLabels(2) + `}`, want: 200}
		}},
		{"submit", func() request {
			return request{as: s.user, method: "PUT", path: w.self() + "/workflow", body: `{"currentStep":"Submit"}`, want: 200}
		}},
		{"download", func() request {
			return request{as: s.owner, method: "GET", path: w.platform(w.element(0)), want: 200}
		}},
		{"confirm", func() request {
			return request{as: s.owner, method: "POST", path: w.platform(w.element(0)) + "/confirmDownload", want: 200}
		}},
		{"delete", func() request { return request{as: s.owner, method: "DELETE", path: w.self(), want: 200} }},
		{"delete permanently", func() request {
			return request{as: s.owner, method: "DELETE", path: w.self() + "?hard=true", want: 200}
		}},
	} {
		if err := measure(test.name, test.q()); err != nil {
			return nil, err
		}
	}
	return measured, nil
}

// largestCreation returns the body that creates an instance with the maximum number of data
// elements and labels, and names that compress least.
func largestCreation() string {
	random := rand.New(rand.NewPCG(1, 1))
	data := []string{`{"formId":"default","contentType":"application/xml","content":"PGEvPg=="}`}
	for len(data) < instance.MaxDataElements {
		data = append(data, fmt.Sprintf(`{"formId":"attachment","contentType":"application/pdf; a=%s","content":"eA==","fileName":"%s.pdf"}`, digits(random, 230), letters(random, 36)))
	}
	return fmt.Sprintf(`{"instanceOwnerId":%q,"labels":%s,"presentationField":"%s","data":[%s]}`,
		party, randomLabels(1), letters(random, instance.MaxPresentationField), strings.Join(data, ","))
}

// randomLabels returns a JSON array of the maximum number of labels. With eight label indexes, at
// least twelve of them need items of their own.
func randomLabels(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 0))
	labels := make([]string, instance.MaxLabels)
	for n := range labels {
		labels[n] = `"` + letters(random, instance.MaxLabelLength) + `"`
	}
	return "[" + strings.Join(labels, ",") + "]"
}

// digits returns n random digits and letters of one byte each.
func digits(random *rand.Rand, n int) string {
	const all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	text := make([]byte, n)
	for i := range text {
		text[i] = all[random.IntN(len(all))]
	}
	return string(text)
}

// letters returns n random characters of four bytes each.
func letters(random *rand.Rand, n int) string {
	text := make([]rune, n)
	for i := range text {
		text[i] = rune(0x1F600 + random.IntN(0x40)) // faces
	}
	return string(text)
}
