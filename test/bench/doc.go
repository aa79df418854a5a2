// Command bench measures Pointsman beside the common recipe: a shell script that
// calls Python, set as client-reconfig-script on all three Sentinels (recipe/).
// Both work on the same playground, each on a load balancer of its own at the
// same simulated provider, and take turns in one run.
//
//	stage ──┬─ lab        real Redis and Sentinels, three coordinators, the provider
//	        ├─ pointsman  a side: its load balancer; its coordinators run in its turns only
//	        └─ recipe     a side: its load balancer; the script is set in its turns only
//
//	switches   promotion visible → first write → traffic, writes at the provider
//	days       what each makes of a provider, a Sentinel or a host that fails
//	reads      settings read at a cluster, processes of their own, over gRPC
//	watchers   how long until a thousand of them are told of a change
//	fence      acknowledged writes that an old master loses, by what guards it; real
//	           HAProxy in front, and its role check beside
//	leases     hand-overs, keepalives, and what a hundred thousand leases take, ours
//	           and those of an embedded etcd of three members (etcdpeer/), one after
//	           the other
//	webhooks   receivers side by side on one versitygw: ours, one PUT per request
//	           (naivepeer/), Flask and boto3 (recipe/webhooks.py); from end to end;
//	           slow clients
//
// What keeps the comparison honest:
//
//   - One clock, one recorder, one journal: the moments and counts of both sides
//     are taken by the same code in this process, none of them by either side.
//   - While one side has its turn the other one takes no CPU: the coordinators
//     are killed for the recipe's turns, the script is unset for Pointsman's.
//   - Python is started as itself, not through a version manager's shim.
//   - Where the recipe is as good, or better, the table says so.
//
// Without python3 the recipe's side is left out, and without etcdpeer etcd's, and
// said so. Run it by `make bench`.
//
// Both sides of leases get the same load from the same code over gRPC, on real
// processes with real fsync. They do not promise the same: etcd's leader renews a
// lease from its memory, without asking a majority, for as long as it believes that
// it leads; ours answers when a barrier proposed after the renewal came has been
// committed, and shares one among all that came within 200 ms.
package main
