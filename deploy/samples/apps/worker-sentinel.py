"""A worker that asks Sentinel for the master and rests while Redis switches."""
import os, time, urllib.request
import redis
from redis.sentinel import Sentinel

pointsman = os.environ.get("POINTSMAN", "http://127.0.0.1:7802")
sentinels = [s.rsplit(":", 1) for s in os.environ.get("SENTINELS", "127.0.0.1:26379").split(",")]
master = Sentinel(sentinels, socket_timeout=0.5).master_for("mymaster", socket_timeout=0.5)

while True:
    try:
        with urllib.request.urlopen(pointsman + "/v1/settings/redis/cache/state:raw", timeout=0.3) as answer:
            state = answer.read().decode()
    except OSError:
        state = "unknown"  # nobody answers: do as if all were well
    try:
        print("notice: jobs wait" if state == "failing_over" else f"job {master.incr('worker-sentinel')}", flush=True)
    except redis.RedisError as e:
        print("fallback: again later:", type(e).__name__, flush=True)
    time.sleep(0.1)
