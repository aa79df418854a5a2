// Package gateway holds what is generated for the JSON gateway: the OpenAPI
// document here, the handlers of each service in pointsman/v1. The rules that
// they come from are proto/pointsman/v1/http.yaml; `make generate` writes both
// anew. Package api serves them.
package gateway

import _ "embed" // the document

// The document, as text. Nothing assigns to it after go:embed has.
//
//go:embed pointsman.swagger.json
var document string

// OpenAPI is the document of the API, as OpenAPI 2.0 in JSON.
func OpenAPI() string { return document }
