package client

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// Names of the request metadata that nodes and clients understand. None of
// them is proof of anything until callers are authenticated.
const (
	// HopKey names the node that forwarded a call. A call that carries it is
	// never forwarded again.
	HopKey = "pointsman-hop"
	// RoleKey says in which role the caller speaks.
	RoleKey = "pointsman-role"
	// ActorKey says who asks, for the log: a person or a program, in any
	// letters, which is what "-bin" allows.
	ActorKey = "pointsman-actor-bin"
)

// RolePeer is the role of a coordinator that calls another one.
const RolePeer = "peer"

// HealthLeader is the health service name that serves only on the leader.
const HealthLeader = "leader"

// AsPeer marks the calls of ctx as those of a coordinator, as ReportView asks.
func AsPeer(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, RoleKey, RolePeer)
}

// AsActor names who asks, for the log. Its first 128 printable bytes count.
func AsActor(ctx context.Context, actor string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, ActorKey, actor)
}
