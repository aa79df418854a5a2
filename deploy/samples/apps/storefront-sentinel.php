<?php // One page of a shop: the master as Sentinel names it, asked anew by each page.
require 'Predis/autoload.php';

$pointsman = getenv('POINTSMAN') ?: 'http://127.0.0.1:7802';
$soon = stream_context_create(['http' => ['timeout' => 0.3]]);
$state = @file_get_contents("$pointsman/v1/settings/redis/cache/state:raw", false, $soon) ?: 'unknown';
echo $state === 'failing_over' ? "notice: your cart is back in a few seconds\n" : '';
$sentinels = array_map(fn ($s) => "tcp://$s?timeout=0.3", explode(',', getenv('SENTINELS') ?: '127.0.0.1:26379'));
try {
    $redis = new Predis\Client($sentinels, ['replication' => 'sentinel', 'service' => 'mymaster',
        'parameters' => ['timeout' => 0.3, 'read_write_timeout' => 0.5]]);
    $redis->getConnection()->setRetryLimit(1); // of 20: a page that waits for a new master tells nobody
    echo 'cart ', $redis->incr('storefront-sentinel'), "\n";
} catch (Predis\PredisException $e) {
    echo "fallback: the cart is kept in the session\n";
}
