#!/bin/sh
# generated.sh: fail when the committed generated files are not what the .proto
# files and the HTTP rules beside them give. It generates into a temporary
# folder and changes nothing.
set -eu

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate --output "$fresh"

generated() {
	find proto api/gateway -name '*.pb.go' -o -name '*.pb.gw.go' -o -name '*.swagger.json'
}

# What is there and should not be counts too, so both sides are listed.
stale=0
for name in $( (generated && cd "$fresh" && generated) | sort -u); do
	if ! cmp -s "$fresh/$name" "$name"; then
		echo "$name is not what its .proto file gives" >&2
		stale=1
	fi
done
if [ "$stale" -ne 0 ]; then
	echo "run: make generate" >&2
	exit 1
fi
