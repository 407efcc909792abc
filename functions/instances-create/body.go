package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"net/http"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// Limits of one request. The data elements of all items together are the content that the function
// stores, each with a call.
const (
	maxItems    = 100
	maxElements = 400
)

// item describes one instance.
type item struct {
	Key string `json:"key"` // the idempotency key
	instancehttp.Creation

	fingerprint string // hash of the item
	err         error  // the fault for an item whose creation cannot be decoded
}

// decodeBody returns the items of the request, or a fault. A fault in an item besides its key
// rejects that item alone.
func decodeBody(r *http.Request) ([]item, error) {
	var body struct {
		Items []jsontext.Value `json:"items"`
	}
	if err := httpapi.DecodeJSON(r, blob.InlineLimit, &body); err != nil {
		return nil, err
	}
	if len(body.Items) == 0 || len(body.Items) > maxItems {
		return nil, httpapi.InvalidBody("items must have 1 to %d items", maxItems)
	}
	items := make([]item, len(body.Items))
	positions := map[string]int{}
	elements := 0
	for n, text := range body.Items {
		var keyed struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal(text, &keyed); err != nil || !httpapi.ValidIdempotencyKey(keyed.Key) {
			return nil, httpapi.InvalidBody("/items/%d must be an object with a key of 1 to %d printable ASCII characters", n, httpapi.MaxIdempotencyKey)
		}
		if first, used := positions[keyed.Key]; used {
			return nil, httpapi.InvalidBody("/items/%d/key is also the key of /items/%d", n, first)
		}
		positions[keyed.Key] = n
		items[n] = decodeItem(text)
		items[n].Key = keyed.Key
		if elements += len(items[n].Data); elements > maxElements {
			return nil, httpapi.InvalidBody("the items have more than %d data elements together; send fewer items at a time", maxElements)
		}
	}
	return items, nil
}

// decodeItem returns the item in text. It calculates the fingerprint from the canonical form of the
// text (RFC 8785), because clients that share keys write the same item differently.
func decodeItem(text jsontext.Value) (i item) {
	if i.err = httpapi.DecodeItem(text, &i); i.err != nil {
		return i
	}
	if i.err = text.Canonicalize(); i.err != nil {
		return i
	}
	sum := sha256.Sum256(text)
	i.fingerprint = hex.EncodeToString(sum[:])
	return i
}
