<?php
// Pointsman from PHP: no extension is needed but json.
//
//   php pointsman.php URL status                is anything wrong, what happened last?
//   php pointsman.php URL wait FAILOVER         until it runs no more: cache/7
//   php pointsman.php URL retry ACTION REASON   a stuck action again: cache/7/lb
//   php pointsman.php URL put KEY VALUE         only over what was there a moment ago
//
// URL is any node's: http://127.0.0.1:7802
declare(strict_types=1);

final class Pointsman
{
    public int $status = 0;
    public string $etag = '';

    public function __construct(private string $url)
    {
    }

    /** One call. An error of the API is thrown; 304 and 404 are answers: see $status. */
    public function call(string $method, string $path, ?array $body = null, array $headers = []): array
    {
        $headers[] = 'Pointsman-Actor: ' . (get_current_user() ?: 'php');
        $context = stream_context_create(['http' => [
            'method' => $method, 'header' => $headers, 'content' => $body === null ? '' : json_encode($body),
            'ignore_errors' => true, 'timeout' => 75,
        ]]);
        $text = @file_get_contents($this->url . '/v1' . $path, false, $context);
        if ($text === false) {
            throw new RuntimeException('no answer from ' . $this->url);
        }
        $this->etag = '';
        foreach ($http_response_header as $line) {
            if (preg_match('#^HTTP/\S+ (\d+)#', $line, $m)) {
                $this->status = (int) $m[1];
            } elseif (stripos($line, 'etag: ') === 0) {
                $this->etag = trim(substr($line, 6));
            }
        }
        $answer = $text === '' ? [] : json_decode($text, true, 64, JSON_THROW_ON_ERROR);
        if ($this->status >= 400 && $this->status !== 404) {
            throw new RuntimeException($answer['message'] . ' (' . ($answer['details'][0]['reason'] ?? '') . ')');
        }
        return $answer;
    }

    public function status(): void
    {
        foreach ($this->call('GET', '/cluster')['cluster']['alerts'] as $a) {
            echo "alert: {$a['code']} {$a['subject']}: {$a['message']}\n";
        }
        foreach ($this->call('GET', '/failovers?pageSize=1')['failovers'] as $f) {
            echo "last: {$f['id']} to {$f['to']} {$f['state']}\n";
        }
    }

    /** Waits without asking again and again: the node holds the answer back until it is another. */
    public function wait(string $id): bool
    {
        for ($state = 'FAILOVER_STATE_RUNNING', $tag = '""'; $state === 'FAILOVER_STATE_RUNNING';) {
            $answer = $this->call('GET', "/failovers/$id?wait=30s", null, ["If-None-Match: $tag"]);
            if ($this->status === 304) {
                continue; // nothing new for 30 s
            }
            if ($this->status === 404) {
                throw new RuntimeException("there is no failover $id");
            }
            [$tag, $state] = [$this->etag, $answer['failover']['state']];
            echo "$id $state\n";
        }
        return $state === 'FAILOVER_STATE_DONE';
    }

    public function retry(string $id, string $reason): void
    {
        $a = $this->call('POST', "/actions/$id:retry", ['reason' => $reason])['action'];
        echo "{$a['id']} {$a['state']}\n";
    }

    /** Compare and swap: refused with 412 when somebody else was faster. */
    public function put(string $key, string $value): void
    {
        $this->call('GET', "/settings/$key");
        $only = $this->status === 404 ? 'If-None-Match: *' : 'If-Match: ' . $this->etag;
        $s = $this->call('PUT', "/settings/$key", ['value' => $value], [$only])['setting'];
        echo "{$s['key']} = {$s['value']} (revision {$s['revision']})\n";
    }
}

try {
    $p = new Pointsman($argv[1] ?? '');
    $done = match ([$argv[2] ?? '', $argc]) {
        ['status', 3] => $p->status(),
        ['wait', 4] => $p->wait($argv[3]),
        ['retry', 5] => $p->retry($argv[3], $argv[4]),
        ['put', 5] => $p->put($argv[3], $argv[4]),
    };
    exit($done === false ? 1 : 0);
} catch (UnhandledMatchError) {
    fwrite(STDERR, "php pointsman.php URL status | wait FAILOVER | retry ACTION REASON | put KEY VALUE\n");
    exit(2);
} catch (RuntimeException $e) {
    fwrite(STDERR, 'error: ' . $e->getMessage() . "\n");
    exit(1);
}
