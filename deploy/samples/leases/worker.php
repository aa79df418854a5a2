<?php // A worker of a pool in PHP, by the JSON API: php worker.php POOL.
// Does the orders in the lists todo:0, todo:1 ... of Redis, each list under the lease of its partition.
require 'Predis/autoload.php';

$nodes = preg_split('/[\s,]+/', trim(getenv('POINTSMAN') ?: 'http://127.0.0.1:7802')); // any of them will do
[$pool, $key, $name] = [$argv[1], bin2hex(random_bytes(16)), gethostname() . '-' . getmypid()];
$fence = file_get_contents(getenv('FENCE') ?: 'fence.lua');
$stopping = false;
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () use (&$stopping) { $stopping = true; });

/** The status of an answer, 0 when none came, and the answer. A node that is dead or finds no leader is not asked next. */
function call(string $path, array $body): array
{
    global $nodes;
    $http = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => json_encode($body), 'timeout' => 1, 'ignore_errors' => true];
    $text = @file_get_contents($nodes[0] . $path, false, stream_context_create(['http' => $http]));
    $status = $text === false ? 0 : (int) explode(' ', $http_response_header[0])[1];
    if ($status === 0 || $status >= 500) {
        $nodes[] = array_shift($nodes);
        fwrite(STDERR, "asking $nodes[0] next: status $status\n");
        usleep(100000);
    }
    return [$status, json_decode($text ?: '', true) ?? []];
}

/** Goes on while the machine is suspended. */
function clock(): float
{
    return (float) file_get_contents('/proc/uptime');
}

/** Says what is held, and takes what the answer says: counted from before it was sent. */
function renew(): int
{
    global $session, $key, $held, $due;
    $named = array_map(fn ($a) => ['partition' => $a['partition'], 'token' => $a['token']], array_values($held));
    $sent = clock();
    [$status, $answer] = call("/v1/sessions/$session:renew", ['key' => $key, 'held' => $named]);
    if ($status !== 200) {
        return $status;
    }
    [$held, $due, $back] = [[], $sent + (float) $answer['ttl'] / 4, []];
    foreach ($answer['assignments'] as $a) {
        if ($a['state'] === 'LEASE_STATE_HELD') {
            $held[$a['partition']] = $a + ['until' => $sent + (float) $a['validFor'] * 0.9 - 0.2];
        } else { // to be handed over: between two orders nothing is under way
            $back[] = ['partition' => $a['partition'], 'token' => $a['token']];
        }
    }
    if ($back) {
        call("/v1/sessions/$session:release", ['key' => $key, 'released' => $back]);
    }
    return 200;
}

/** One order, if there is one and no newer token was seen. */
function work(array $lease): bool
{
    global $pool, $fence, $held;
    static $redis = [];
    $address = $lease['address'] ?: getenv('REDIS') ?: '127.0.0.1:6379';
    $r = $redis[$address] ??= new Predis\Client("tcp://$address?timeout=1&read_write_timeout=1");
    $order = $r->lindex("todo:$lease[partition]", 0);
    if ($order === null) {
        return false;
    }
    [$done] = $r->eval($fence, 3, "fence:$pool/$lease[partition]", "done:$order", 'orders', $lease['token'], 604800,
        3, 'INCRBY', 'orders', '1');
    if ($done === 'fenced') {
        unset($held[$lease['partition']]); // another worker has the partition: nothing is done
        return false;
    }
    $r->lrem("todo:$lease[partition]", 1, $order);
    echo "$done $order\n";
    return true;
}

[$session, $held, $due] = [null, [], 0];
while (!$stopping) {
    if ($session === null) {
        [$status, $answer] = call('/v1/sessions', ['pool' => $pool, 'worker' => $name, 'key' => $key]);
        [$session, $held, $due] = [$status === 200 ? $answer['session']['id'] : null, [], 0];
    }
    if ($session !== null && clock() >= $due && ($status = renew()) !== 200) {
        $due = clock() + 0.2; // no answer: what is held runs out by itself
        if ($status === 404) {
            [$session, $held] = [null, []]; // the session has ended: nothing is held any more
        }
    }
    $busy = false;
    foreach ($held as $lease) {
        try {
            $busy = clock() < $lease['until'] && work($lease) || $busy;
        } catch (Predis\PredisException $e) {
            fwrite(STDERR, "again later: {$e->getMessage()}\n");
        }
    }
    if (!$busy) {
        usleep(50000);
    }
}
foreach ($session === null ? [] : $nodes as $_) {
    [$status] = call("/v1/sessions/$session:close", ['key' => $key]); // others take over at once
    if ($status !== 0 && $status < 500) {
        break;
    }
}
