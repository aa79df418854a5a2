#!/bin/sh
# generated.sh: fail when the committed Go code is not what the .proto files
# give. It generates into a temporary folder and changes nothing.
set -eu

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate --output "$fresh"

# What is there and should not be counts too, so both sides are listed.
stale=0
for name in $( (find proto -name '*.pb.go' && cd "$fresh" && find proto -name '*.pb.go') | sort -u); do
	if ! cmp -s "$fresh/$name" "$name"; then
		echo "$name is not what its .proto file gives" >&2
		stale=1
	fi
done
if [ "$stale" -ne 0 ]; then
	echo "run: make generate" >&2
	exit 1
fi
