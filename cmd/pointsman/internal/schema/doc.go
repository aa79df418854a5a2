// Package schema describes the node file and the spec as JSON Schema (draft
// 2020-12), so that editors complete them and underline slips.
//
// Everything comes from the messages: names and types from the descriptors,
// bounds from their protovalidate rules, words from the comments of the .proto
// files, which `make docs` gathers in comments.json. A rule that JSON Schema
// cannot express is left out: what the schema takes, `pointsman config
// validate` may still refuse, never the other way round for the documented
// spelling of names and values.
package schema
