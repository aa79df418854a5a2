<?php // One piece of work for the holder of a lease, in Redis: php sink.php ORDER.
require 'Predis/autoload.php';

$redis = new Predis\Client('tcp://' . (getenv('POINTSMAN_LEASE_ADDRESS') ?: getenv('REDIS') ?: '127.0.0.1:6379'));
$fence = file_get_contents(getenv('FENCE') ?: 'fence.lua');
[$answer] = $redis->eval($fence, 3,
    'fence:' . getenv('POINTSMAN_LEASE'), 'done:' . $argv[1], 'orders', getenv('POINTSMAN_LEASE_TOKEN'), 604800,
    3, 'INCRBY', 'orders', '1');
if ($answer === 'fenced') {
    exit(3); // another worker holds the lease: nothing is done
}
echo $answer, "\n";
