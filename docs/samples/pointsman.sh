#!/bin/sh
# Pointsman from a shell: curl and jq, and nothing else.
#
#   pointsman.sh URL status                  is anything wrong, what happened last?
#   pointsman.sh URL wait FAILOVER           until it runs no more: cache/7
#   pointsman.sh URL retry ACTION REASON     a stuck action again: cache/7/lb
#   pointsman.sh URL put KEY VALUE           only over what was there a moment ago
#
# URL is any node's: http://127.0.0.1:7802
set -eu

url=$1/v1
verb=$2
shift 2
head=$(mktemp)
trap 'rm -f "$head"' EXIT

# call METHOD PATH [CURL ARGUMENTS]: the answer on stdout, its status code in
# $head. An error of the API is told and ends the program; 304 and 404 are answers.
call() {
	method=$1 path=$2
	shift 2
	answer=$(curl -sS --max-time 75 -X "$method" -D "$head" -H "Pointsman-Actor: ${USER:-shell}" "$@" "$url$path")
	case $(code) in
	2?? | 304 | 404) printf '%s' "$answer" ;;
	*)
		printf '%s' "$answer" | jq -r '"error: " + .message + " (" + (.details[0].reason // "") + ")"' >&2
		exit 1
		;;
	esac
}

# show FILTER: $answer through jq. A pipe from call itself would hide its failure.
show() { printf '%s' "$answer" | jq -r "$1"; }

code() { sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$head" | tail -n 1; }
etag() { tr -d '\r' <"$head" | sed -n 's/^[Ee][Tt][Aa][Gg]: //p'; }

case $verb in
status)
	answer=$(call GET /cluster)
	show '.cluster.alerts[] | "alert: " + .code + " " + .subject + ": " + .message'
	answer=$(call GET '/failovers?pageSize=1')
	show '.failovers[] | "last: " + .id + " to " + .to + " " + .state'
	;;
wait)
	state=FAILOVER_STATE_RUNNING tag='""'
	while [ "$state" = FAILOVER_STATE_RUNNING ]; do
		answer=$(call GET "/failovers/$1?wait=30s" -H "If-None-Match: $tag")
		case $(code) in
		304) continue ;; # nothing new for 30 s
		404) echo "there is no failover $1" >&2 && exit 1 ;;
		esac
		tag=$(etag)
		state=$(show .failover.state)
		echo "$1 $state"
	done
	[ "$state" = FAILOVER_STATE_DONE ]
	;;
retry)
	answer=$(call POST "/actions/$1:retry" -d "$(jq -n --arg why "$2" '{reason: $why}')")
	show '.action.id + " " + .action.state'
	;;
put)
	call GET "/settings/$1" >/dev/null
	if [ "$(code)" = 404 ]; then
		only='If-None-Match: *'
	else
		only="If-Match: $(etag)"
	fi
	answer=$(call PUT "/settings/$1" -H "$only" -d "$(jq -n --arg value "$2" '{value: $value}')")
	show '.setting.key + " = " + .setting.value + " (revision " + .setting.revision + ")"'
	;;
*)
	echo "status, wait, retry or put, not $verb" >&2
	exit 2
	;;
esac
