"""A worker that writes through the load balancer and rests while Redis switches."""
import os, time, urllib.request
import redis

pointsman = os.environ.get("POINTSMAN", "http://127.0.0.1:7802")
host, port = os.environ.get("REDIS", "127.0.0.1:6379").rsplit(":", 1)
r = redis.Redis(host=host, port=int(port), socket_timeout=0.5, socket_connect_timeout=0.3)

while True:
    try:
        with urllib.request.urlopen(pointsman + "/v1/settings/redis/cache/state:raw", timeout=0.3) as answer:
            state = answer.read().decode()
    except OSError:
        state = "unknown"  # nobody answers: do as if all were well
    if state == "failing_over":
        print("notice: jobs wait", flush=True)
    else:
        try:
            print("job", r.incr("worker"), flush=True)
        except redis.RedisError as e:
            print("fallback: again later:", type(e).__name__, flush=True)
    time.sleep(0.1)
