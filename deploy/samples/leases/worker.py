"""A worker of a pool in Python, by the JSON API: worker.py POOL.

Does the orders in the lists todo:0, todo:1 ... of Redis, each list under the lease
of its partition."""
import functools, http.client, json, os, re, secrets, signal, socket, sys, time, urllib.error, urllib.request
import redis

nodes = re.findall(r"[^\s,]+", os.environ.get("POINTSMAN", "http://127.0.0.1:7802"))  # any of them will do
pool, key, name = sys.argv[1], secrets.token_hex(16), f"{socket.gethostname()}-{os.getpid()}"
with open(os.environ.get("FENCE", "fence.lua")) as file:
    fence = file.read()
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))


class Ended(Exception):
    """The session has ended: nothing is held any more."""


def call(path, **body):
    """Asks one node, and the next one from then on when it is dead or finds no leader."""
    ask = urllib.request.Request(nodes[0] + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(ask, timeout=1) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        if e.code == 404:
            raise Ended(e.read().decode())
        if e.code >= 500:
            nodes.append(nodes.pop(0))
        raise
    except (OSError, http.client.HTTPException) as e:
        nodes.append(nodes.pop(0))
        raise ConnectionError(e) from e


def clock():
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine is suspended


def seconds(text):
    return float(text.rstrip("s"))


@functools.cache
def connect(address):
    host, port = address.rsplit(":", 1)
    return redis.Redis(host=host, port=int(port), socket_timeout=1, decode_responses=True)


def work(lease):
    """One order, if there is one and no newer token was seen."""
    todo, r = f"todo:{lease['partition']}", connect(lease["address"] or os.environ.get("REDIS", "127.0.0.1:6379"))
    order = r.lindex(todo, 0)
    if order is None:
        return False
    done, _ = r.eval(fence, 3, f"fence:{pool}/{lease['partition']}", f"done:{order}", "orders", lease["token"], 604800,
                     3, "INCRBY", "orders", 1)
    if done == "fenced":
        del held[lease["partition"]]  # another worker has the partition: nothing is done
        return False
    r.lrem(todo, 1, order)
    print(done, order, flush=True)
    return True


def renew():
    """Says what is held, and takes what the answer says: counted from before it was sent."""
    global held, due
    sent, back = clock(), []
    answer = call(f"/v1/sessions/{session}:renew", key=key,
                  held=[{"partition": p, "token": a["token"]} for p, a in held.items()])
    held, due = {}, sent + seconds(answer["ttl"]) / 4
    for a in answer["assignments"]:
        if a["state"] == "LEASE_STATE_HELD":
            held[a["partition"]] = a | {"until": sent + seconds(a["validFor"]) * 0.9 - 0.2}
        else:  # to be handed over: between two orders nothing is under way
            back.append({"partition": a["partition"], "token": a["token"]})
    if back:
        call(f"/v1/sessions/{session}:release", key=key, released=back)


session, held, due = None, {}, 0
while not stopping:
    try:
        if session is None:
            session, held, due = call("/v1/sessions", pool=pool, worker=name, key=key)["session"]["id"], {}, 0
        if clock() >= due:
            renew()
    except Ended as e:
        print("no session:", e, file=sys.stderr)
        session, held, due = None, {}, clock() + 1
        time.sleep(0.2)
    except OSError as e:  # no answer: what is held runs out by itself
        print("asking", nodes[0], "next:", e, file=sys.stderr)
        due = clock() + 0.2
        time.sleep(0.1)
    try:
        busy = [work(lease) for lease in list(held.values()) if clock() < lease["until"]]
    except redis.RedisError as e:
        print("again later:", e, file=sys.stderr)
        busy = []
    if not any(busy):
        time.sleep(0.05)
for _ in nodes if session else []:
    try:
        call(f"/v1/sessions/{session}:close", key=key)  # others take over at once
        break
    except Ended:
        break
    except OSError:
        time.sleep(0.1)
