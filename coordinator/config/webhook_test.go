package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/deploy/samples"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

const leastWebhook = "store: {dir: {path: /var/lib/hooks}}\n"

func TestWebhookDefaults(t *testing.T) {
	c, _, err := ParseWebhook("w", []byte(leastWebhook))
	if err != nil {
		t.Fatal(err)
	}
	r := c.GetReceive()
	if c.GetName() == "" || r.GetListen() != DefaultReceive || r.GetMetrics() != DefaultReceiveMetrics || r.GetMaxBody() != DefaultMaxBody ||
		r.GetLimits().GetBytes() != DefaultBytesInFlight || r.GetLimits().GetBodyTimeout().AsDuration() != 2*time.Second || r.GetBatch().GetLinger().AsDuration() != 5*time.Millisecond ||
		r.GetBatch().GetEvents() != 64 || r.GetSpill().GetPolicy() != pointsmanv1.SpillPolicy_SPILL_POLICY_NEVER || r.GetSpill().GetDiskFloor() != DefaultDiskFloor {
		t.Errorf("%v", c)
	}
	c, _, err = ParseWebhook("w", []byte(leastWebhook+"receive: {batch: {linger: 0s}, spill: {disk_floor: 0}}\n"))
	if err != nil || c.GetReceive().GetBatch().GetLinger().AsDuration() != 0 || c.GetReceive().GetSpill().GetDiskFloor() != 0 {
		t.Errorf("zeros that were written: %v %v", c, err)
	}
	if again := proto.CloneOf(c); CheckSecrets(again) != nil {
		t.Error("a secret where none is")
	}
}

// The sample is whole, and so is its second kind of store.
func TestWebhookSample(t *testing.T) {
	text := samples.Webhook()
	c, _, err := ParseWebhook("webhook.yaml", []byte(text))
	if err != nil || c.GetReceive().GetSpill().GetDir() == "" || len(c.GetApps()["orders"].GetSecrets()) != 1 {
		t.Fatal(c, err)
	}
	if problems := CheckSecrets(c); len(problems) != 1 || problems[0].Path != `apps["orders"].secrets[0].from` {
		t.Errorf("%v", problems)
	}
	_, bucket, ok := strings.Cut(text, "  # s3:\n")
	if !ok {
		t.Fatal("the sample has no bucket")
	}
	bucket, _, _ = strings.Cut(bucket, "\n\n")
	text = "store:\n  s3:\n" + strings.ReplaceAll(bucket, "  #   ", "    ")
	if c, _, err := ParseWebhook("webhook.yaml", []byte(text)); err != nil || c.GetStore().GetS3().GetBucket() == "" {
		t.Errorf("%v\n%s", err, text)
	}
}

// Each slip is told at its place.
func TestWebhookProblems(t *testing.T) {
	for text, want := range map[string]string{
		"name: rx\n":                    "w:1:1: store: must be set",
		"store: {}\n":                   "w:1:8: store: must have exactly one of dir, s3",
		"store: {dir: {path: hooks}}\n": `w:1:21: store.dir.path: must be an absolute path, is "hooks"`,
		leastWebhook + "name: A b\n":    `w:2:7: name: must be 1 to 63 lower-case letters`,
		leastWebhook + "nme: a\n":       `w:2:1: nme: unknown field; did you mean "name"?`,
		leastWebhook + "apps: {Or: {secrets: [{from: \"env:A\"}]}}\n":                                                      `w:2:8: apps["Or"]: must be 1 to 63 lower-case letters`,
		leastWebhook + "apps: {orders: {secrets: []}}\n":                                                                   `w:2:26: apps["orders"].secrets: `,
		leastWebhook + "apps: {orders: {secrets: [{from: shpss_1234}]}}\n":                                                 `w:2:34: apps["orders"].secrets[0].from: must be a reference`,
		leastWebhook + "receive: {listen: \"0.0.0.0:7810\"}\n":                                                             "w:2:19: receive.listen: binds 0.0.0.0:7810 without TLS",
		leastWebhook + "receive: {listen: \"127.0.0.1:1\", metrics: \"127.0.0.1:1\"}\n":                                    "w:2:43: receive.metrics: 127.0.0.1:1 is also receive.listen",
		leastWebhook + "receive: {max_body: 1GiB}\n":                                                                       "w:2:21: receive.max_body: ",
		leastWebhook + "receive: {max_body: 8MiB, limits: {bytes: 8MiB}}\n":                                                "w:2:43: receive.limits.bytes: is 8388608, must be twice max_body",
		leastWebhook + "receive: {spill: {policy: when_store_fails}}\n":                                                    "w:2:18: receive.spill.dir: must be set for the policy when_store_fails",
		leastWebhook + "receive: {spill: {policy: always}}\n":                                                              "w:2:27: receive.spill.policy: must be one of never, when_store_fails",
		leastWebhook + "receive: {trusted_proxies: [10.0.0.0]}\n":                                                          "w:2:29: receive.trusted_proxies[0]: ",
		leastWebhook + "receive: {tls: {cert: \"file:/c\"}}\n":                                                             "w:2:16: receive.tls.key: must be set",
		"store: {s3: {endpoint: \"https://a/b\", region: r, bucket: bbb, access_key: \"env:A\", secret_key: \"env:B\"}}\n": `w:1:24: store.s3.endpoint: must be https://HOST`,
	} {
		_, _, err := ParseWebhook("w", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "shpss_1234") {
			t.Errorf("a secret is told: %v", err)
		}
	}
	if _, _, err := ParseWebhook("w", []byte(leastWebhook+"receive: {listen: \"0.0.0.0:7810\", insecure: true}\n")); err != nil {
		t.Errorf("insecure: %v", err)
	}
	if _, _, err := LoadWebhook(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) && err == nil {
		t.Error("a file that is not there")
	}
}
