#!/bin/sh
# One piece of work for the holder of a lease, in Redis: sink.sh ORDER.
redis=${POINTSMAN_LEASE_ADDRESS:-${REDIS:-127.0.0.1:6379}}
answer=$(redis-cli -e -h "${redis%:*}" -p "${redis##*:}" --eval "${FENCE:-fence.lua}" \
	"fence:$POINTSMAN_LEASE" "done:$1" orders , "$POINTSMAN_LEASE_TOKEN" 604800 \
	3 INCRBY orders 1) || exit 1
case $answer in
fenced*) exit 3 ;; # another worker holds the lease: nothing is done
*) echo "$answer" | head -n 1 ;;
esac
