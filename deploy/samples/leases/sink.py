"""One piece of work for the holder of a lease, in a database: sink.py ORDER.

The token is compared, the effect made and the id kept in one transaction."""
import os, sqlite3, sys

lease, token, order = os.environ["POINTSMAN_LEASE"], int(os.environ["POINTSMAN_LEASE_TOKEN"]), sys.argv[1]
db = sqlite3.connect(os.environ.get("DATABASE", "orders.db"), isolation_level=None, timeout=10)
db.execute("CREATE TABLE IF NOT EXISTS fence (lease TEXT PRIMARY KEY, token INTEGER NOT NULL)")
db.execute("CREATE TABLE IF NOT EXISTS done (id TEXT PRIMARY KEY, token INTEGER NOT NULL)")
db.execute("CREATE TABLE IF NOT EXISTS total (orders INTEGER NOT NULL)")

db.execute("BEGIN IMMEDIATE")  # elsewhere: SELECT ... FOR UPDATE on the row of the fence
(newest,) = db.execute("SELECT coalesce(max(token), 0) FROM fence WHERE lease = ?", (lease,)).fetchone()
if token < newest:
    db.execute("ROLLBACK")
    sys.exit(3)  # another worker holds the lease: nothing is done
db.execute("INSERT INTO fence VALUES (?, ?) ON CONFLICT (lease) DO UPDATE SET token = excluded.token", (lease, token))
if db.execute("INSERT INTO done VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (order, token)).rowcount:
    db.execute("INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total)")
    db.execute("UPDATE total SET orders = orders + 1")
    print("applied")
else:
    print("already")
db.execute("COMMIT")
