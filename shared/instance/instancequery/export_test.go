package instancequery

import "altinn.no/instanceapi/shared/cursor"

// WithoutBounds returns a cursor of the query for the same position, without bounds.
func (q *Query) WithoutBounds(text string) string {
	payload, ok := cursor.Decode(q.scope(), text)
	if !ok {
		return text
	}
	return cursor.Encode(q.scope(), payload[:payloadBytes])
}

// ResponseSize is responseSize for tests that need the HTTP side of instances, which imports this
// package.
var ResponseSize = responseSize
