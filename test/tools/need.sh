#!/bin/sh
# need.sh go|redis|haproxy|gcc|php|curl|jq|apps|flask ...: make sure that these are there, or say in one line
# what to do. As root on a machine with apt it installs what is missing and
# starts no daemon; otherwise it changes nothing.
set -eu

go_major=1
go_minor=26

say() { echo "pointsman: $*" >&2; }

install() { # why package...
	why=$1
	shift
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		say "$why is missing: install it (Debian: apt-get install $*) and try again"
		exit 1
	fi
	say "$why is missing: installing $*"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y -q --no-install-recommends "$@" >&2 ||
		{ apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "$@" >&2; }
}

need_go() {
	go=${GO:-go}
	if ! command -v "$go" >/dev/null 2>&1; then
		say "Go $go_major.$go_minor or newer is needed and there is none in PATH: https://go.dev/dl"
		exit 1
	fi
	found=$("$go" version 2>/dev/null | sed -n 's/^go version go\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
	major=${found% *}
	minor=${found#* }
	if [ -z "$found" ]; then
		return 0 # a development build: it knows what it is
	fi
	if [ "$major" -lt "$go_major" ] || { [ "$major" -eq "$go_major" ] && [ "$minor" -lt "$go_minor" ]; }; then
		say "Go $go_major.$go_minor or newer is needed, $(command -v "$go") is $major.$minor: https://go.dev/dl"
		exit 1
	fi
}

# Debian's redis-tools carries redis-check-rdb, which is the server binary
# under another name, and no service that would start.
need_redis() {
	for name in redis-server valkey-server redis-check-rdb; do
		if command -v "$name" >/dev/null 2>&1; then
			return 0
		fi
	done
	install "a Redis server binary" redis-tools
}

need_haproxy() {
	if command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ]; then
		return 0
	fi
	quiet=/usr/sbin/policy-rc.d
	if [ "$(id -u)" -eq 0 ] && [ ! -e "$quiet" ]; then # its service would start
		printf '#!/bin/sh\nexit 101\n' >"$quiet"
		chmod +x "$quiet"
		trap 'rm -f "$quiet"' EXIT
	fi
	install "HAProxy" haproxy
}

# Only the race detector needs a C compiler.
need_gcc() {
	if ! command -v gcc >/dev/null 2>&1 || [ ! -e /usr/include/stdlib.h ]; then
		install "a C compiler (for go test -race)" gcc libc6-dev
	fi
}

# The samples for apps run on Debian's PHP and Python, and with curl.
need_apps() {
	if ! command -v php >/dev/null 2>&1 || ! command -v curl >/dev/null 2>&1 ||
		! php -r 'exit(@include("Predis/autoload.php") ? 0 : 1);' >/dev/null 2>&1 ||
		! /usr/bin/python3 -c 'import redis' >/dev/null 2>&1; then
		install "what the samples for apps run on" php-cli php-predis python3-redis curl
	fi
}

# The receiver of webhooks that `make bench` measures ours beside.
need_flask() {
	if ! /usr/bin/python3 -c 'import flask, boto3, gunicorn' >/dev/null 2>&1; then
		install "Flask, boto3 and gunicorn (for make bench)" python3-flask python3-boto3 python3-gunicorn
	fi
}

# The samples of docs/samples are run as they stand there.
need_php() { command -v php >/dev/null 2>&1 || install "PHP (for docs/samples)" php-cli; }
need_curl() { command -v curl >/dev/null 2>&1 || install "curl (for docs/samples)" curl; }
need_jq() { command -v jq >/dev/null 2>&1 || install "jq (for docs/samples)" jq; }

for thing in "$@"; do
	case $thing in
	go | redis | haproxy | gcc | php | curl | jq | apps | flask) "need_$thing" ;;
	*)
		say "need.sh knows go, redis, haproxy, gcc, php, curl, jq, apps and flask, not $thing"
		exit 2
		;;
	esac
done
