<?php // One page of a shop: Redis through the load balancer, a notice while it switches.
require 'Predis/autoload.php';

$pointsman = getenv('POINTSMAN') ?: 'http://127.0.0.1:7802';
$soon = stream_context_create(['http' => ['timeout' => 0.3]]);
$state = @file_get_contents("$pointsman/v1/settings/redis/cache/state:raw", false, $soon) ?: 'unknown';
if ($state === 'failing_over') {
    echo "notice: your cart is back in a few seconds\n";
}
try {
    $redis = new Predis\Client('tcp://' . (getenv('REDIS') ?: '127.0.0.1:6379') . '?timeout=0.3&read_write_timeout=0.5');
    echo 'cart ', $redis->incr('storefront'), "\n";
} catch (Predis\PredisException $e) {
    echo "fallback: the cart is kept in the session\n";
}
