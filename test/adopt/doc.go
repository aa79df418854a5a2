// Package adopt walks through docs/adopt.md with real processes: Redis, Sentinels
// with an old client-reconfig-script, three coordinators beside it, and the
// load balancer simulated. It runs the commands that the page shows, in its
// order, and holds the page to them.
package adopt
