#!/bin/sh
# The common recipe: a client-reconfig-script, set on all Sentinels, that points
# a load balancer at the new master. It is what Pointsman is measured against.
#
# Sentinel calls it with
#   <master-name> <leader|observer> <state> <from-ip> <from-port> <to-ip> <to-port>
# and reads its exit code: 0 is done; 1, or death by a signal, means again in
# 30 s, then 60 s, doubling, ten times in all, with these same arguments; 2 and
# above means never again. After 60 s Sentinel kills it.
set -u
here=$(dirname "$0")
. "$here/recipe.env" # where the provider is, and its keys
exec "${PYTHON:-python3}" "$here/repoint.py" "$6:$7" >>"$here/recipe.log" 2>&1
