package httpapi

import _ "embed"

// Document is the OpenAPI document of both APIs. Only the function that serves it links it.
//
//go:embed openapi.yaml
var Document []byte
