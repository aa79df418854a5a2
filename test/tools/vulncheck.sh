#!/bin/sh
# vulncheck.sh GOVULNCHECK: look the linked code up in Go's vulnerability
# database, or say that the database does not answer.
set -eu

database=${GOVULNDB:-https://vuln.go.dev}
if ! answer=$("$1" -db "$database" ./... 2>&1); then
	case $answer in
	*"fetching vulnerabilities"* | *"vulnerability database"* | *"dial tcp"* | *"/index/"*)
		echo "govulncheck: skipped, $database does not answer"
		exit 0
		;;
	esac
	echo "$answer"
	exit 1
fi
echo "$answer"
