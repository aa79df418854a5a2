#!/bin/sh
# A worker of a pool in shell: pointsman leases run POOL --again -- sh worker.sh
# Does the orders in the list todo:N of Redis, N being the partition that is held.
redis=${POINTSMAN_LEASE_ADDRESS:-${REDIS:-127.0.0.1:6379}}
todo=todo:${POINTSMAN_LEASE#*/}
ask() { redis-cli -e -h "${redis%:*}" -p "${redis##*:}" "$@"; }
while :; do
	order=$(ask LINDEX "$todo" 0) && [ -n "$order" ] || { sleep 0.1; continue; }
	done=$(sh "${0%/*}/sink.sh" "$order")
	case $? in
	0) ask LREM "$todo" 1 "$order" >/dev/null && echo "$done $order" ;;
	3) sleep 0.1 ;; # fenced: whoever runs this is about to be told
	*) sleep 1 ;;
	esac
done
