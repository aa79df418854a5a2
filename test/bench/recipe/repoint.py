"""Point a frontend of an OVH IP Load Balancing at the farm of a Redis master.

    repoint.py IP:PORT

Standard library only. Look, write, and ask the provider to apply what was
written. It does not skip the write when the frontend already names the farm:
the provider shows what is stored, not what is applied, so a run that trusts the
look would never mend a refresh that failed. Exit code 1 asks Sentinel to try
again.
"""
import hashlib
import json
import os
import sys
import time
import urllib.request

TIMEOUT = 20  # seconds for one request


def call(method, path, body=None):
    env = os.environ
    url = env["OVH_ENDPOINT"] + path
    data = "" if body is None else json.dumps(body)
    now = str(int(time.time()))
    signed = "+".join([env["OVH_APPLICATION_SECRET"], env["OVH_CONSUMER_KEY"], method, url, data, now])
    request = urllib.request.Request(url, method=method, data=data.encode() or None, headers={
        "Content-Type": "application/json",
        "X-Ovh-Application": env["OVH_APPLICATION_KEY"],
        "X-Ovh-Consumer": env["OVH_CONSUMER_KEY"],
        "X-Ovh-Timestamp": now,
        "X-Ovh-Signature": "$1$" + hashlib.sha1(signed.encode()).hexdigest(),
    })
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.loads(answer.read() or "null")


def main(master):
    service = "/ipLoadbalancing/" + os.environ["IPLB_SERVICE"]
    frontend = service + "/tcp/frontend/" + os.environ["IPLB_FRONTEND"]
    farm = json.loads(os.environ["IPLB_FARMS"])[master]
    was = call("GET", frontend)["defaultFarmId"]
    call("PUT", frontend, {"defaultFarmId": farm})
    task = call("POST", service + "/refresh", {})["id"]
    print("%s: farm %s -> %s, task %s" % (master, was, farm, task))


try:
    main(sys.argv[1])
except Exception as e:  # whatever it was, Sentinel shall try again
    print("%s: %r" % (sys.argv[1:], e))
    sys.exit(1)
