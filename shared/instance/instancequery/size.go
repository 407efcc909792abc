package instancequery

import "altinn.no/instanceapi/shared/instance"

// maxPageBytes is the response size, as estimated by responseSize, that ends a page. A Lambda
// function can return 6 MB, and the page is inside a JSON string, which escapes its quotes.
const maxPageBytes = 3_500_000

// documentBytes is an upper bound for the JSON of an instance or a data element, without the
// strings and lists that responseSize counts. It includes the links, with base URLs of usual
// length.
const documentBytes = 1200

// timeBytes is the size of a time in a list: "2026-05-01T12:00:00.123456Z", with its comma.
const timeBytes = 30

// noteBytes is the size of the names and the time of a note, of a substatus and of a scan.
const noteBytes = 100

// responseSize returns an estimate of an instance's JSON in a response, in bytes, with its links.
// The estimate is not less than the real size.
func responseSize(i *instance.Instance) int {
	size := documentBytes + stringSize(i.PresentationField)
	size += stringSize(i.Workflow.Reason)
	for _, note := range i.Workflow.Notes {
		size += noteBytes + stringSize(note.By) + stringSize(note.Step) + stringSize(note.Reason)
	}
	if s := i.Status.Substatus; s != nil {
		size += noteBytes + stringSize(s.Label) + stringSize(s.Description)
	}
	for _, label := range i.Labels {
		size += stringSize(label)
	}
	for n := range i.Data {
		d := &i.Data[n]
		size += documentBytes + stringSize(d.FileName) + stringSize(d.ContentType)
		if owner := d.ApplicationOwner; owner != nil { // 100 recorded times are longer than the rest of the element
			size += timeBytes * (len(owner.Downloaded) + len(owner.DownloadConfirmed))
		}
		if d.Scan != nil {
			size += noteBytes
		}
	}
	return size
}

// stringSize returns the size of a JSON string with its comma, if it were written with HTML
// escaping. JSON is usually written without HTML escaping, so the size is a little too large.
func stringSize(s string) int {
	size := len(s) + 3
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\', '<', '>', '&':
			size += 5
		}
	}
	return size
}
