// Package pointsmanv1 is the public contract: the gRPC services, the resources
// that they answer, and the two configuration files, node file and spec.
//
// All but this file is generated from the .proto files beside it; their
// comments are the reference. `make generate` writes the Go code anew.
//
// In YAML the enum values of the configuration are written in their short
// lower-case form, without the enum's name: ON_FAILURE_BLOCK is "block".
package pointsmanv1
