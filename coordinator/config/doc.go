// Package config reads the node file and the spec from YAML, and answers every
// problem at once with the place of each.
//
//	bytes ── syntax (goccy) ──▶ tree (yaml.v3) ── walk ──▶ duplicate and unknown keys
//	                              │                  └───▶ path -> line:col
//	                              └─ protoyaml ──▶ message ── protovalidate ──▶ rules
//
// A syntax error ends the reading, since nothing after it can be trusted. All
// other problems are gathered and told together, in the order of the file.
// Rules stand in the .proto files beside their fields; what is checked here in
// Go is only what compares fields of a node file with each other. Checks of
// meaning (does the farm exist for each candidate?) belong to those who know
// it: they hand their problems to File.Invalid by field path.
//
// Secrets stand in a configuration as references only: env:NAME, file:PATH,
// credential:NAME. The value of a field that takes a reference is never
// printed, whatever was written into it.
package config
