// Package apps runs the samples that application developers begin with
// (deploy/samples/apps) through a real failover: Redis, Sentinels and three
// coordinators as processes, the load balancer simulated with its data plane.
//
// The samples are the files as shipped; they run on Debian's php-cli, php-predis
// and python3-redis, and curl. docs/apps.md shows the same files.
package apps
