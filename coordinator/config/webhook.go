package config

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Defaults of the webhook file.
const (
	DefaultReceive        = "127.0.0.1:7810"
	DefaultReceiveMetrics = "127.0.0.1:7811"
	DefaultMaxBody        = 8 << 20 // bytes
	DefaultConnections    = 10000
	DefaultRequests       = 10000
	DefaultBytesInFlight  = 256 << 20
	DefaultHeaderTimeout  = time.Second
	DefaultBodyTimeout    = 2 * time.Second
	DefaultLinger         = 5 * time.Millisecond
	DefaultBatchEvents    = 64
	DefaultWrites         = 4
	DefaultSpillBytes     = 1 << 30
)

// LoadWebhook reads a webhook file, complete with defaults. A file with
// problems is an *InvalidError; the File is answered with it, when the file
// could be read at all.
func LoadWebhook(name string) (*pointsmanv1.WebhookConfig, *File, error) {
	source, err := read(name)
	if err != nil {
		return nil, nil, err
	}
	return ParseWebhook(name, source)
}

// ParseWebhook reads a webhook file from bytes; name stands in the places of
// problems.
func ParseWebhook(name string, source []byte) (*pointsmanv1.WebhookConfig, *File, error) {
	c := &pointsmanv1.WebhookConfig{}
	file, problems, touched := decode(name, source, c)
	problems = append(problems, validate(c, touched)...)
	for _, p := range problems {
		if touched != nil {
			touched[p.Path] = true
		}
	}
	fillWebhook(c, file)
	for _, p := range checkReceive(c.GetReceive()) {
		if touched != nil && !touched[p.Path] {
			problems = append(problems, p)
		}
	}
	if err := file.Invalid(problems); err != nil {
		return nil, file, err
	}
	return c, file, nil
}

// fillWebhook sets what the file does not.
func fillWebhook(c *pointsmanv1.WebhookConfig, f *File) {
	if c.Name == "" {
		c.Name = hostName()
	}
	c.Log, c.Receive = orNew(c.Log), orNew(c.Receive)
	fill(&c.Log.Level, pointsmanv1.LogLevel_LOG_LEVEL_INFO)
	fill(&c.Log.Format, pointsmanv1.LogFormat_LOG_FORMAT_TEXT)
	r := c.Receive
	fill(&r.Listen, DefaultReceive)
	fill(&r.Metrics, DefaultReceiveMetrics)
	fill(&r.MaxBody, DefaultMaxBody)
	r.Limits, r.Batch, r.Spill = orNew(r.Limits), orNew(r.Batch), orNew(r.Spill)
	fill(&r.Limits.Connections, DefaultConnections)
	fill(&r.Limits.Requests, DefaultRequests)
	fill(&r.Limits.Bytes, DefaultBytesInFlight)
	fillSpan(&r.Limits.HeaderTimeout, DefaultHeaderTimeout)
	fillSpan(&r.Limits.BodyTimeout, DefaultBodyTimeout)
	fillSpan(&r.Batch.Linger, DefaultLinger)
	fill(&r.Batch.Events, DefaultBatchEvents)
	fill(&r.Batch.Writes, DefaultWrites)
	fill(&r.Spill.Policy, pointsmanv1.SpillPolicy_SPILL_POLICY_NEVER)
	fill(&r.Spill.MaxBytes, DefaultSpillBytes)
	if !f.Has("receive.spill.disk_floor") { // 0 may be written: no floor
		r.Spill.DiskFloor = DefaultDiskFloor
	}
}

func fillSpan(d **durationpb.Duration, otherwise time.Duration) {
	if *d == nil {
		*d = durationpb.New(otherwise)
	}
}

// hostName is this host's name without its domain, made fit to name a
// receiver.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	host = strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(host, "-"), "-")
	if host = strings.Trim(host[:min(len(host), 63)], "-"); host == "" {
		return "receiver"
	}
	return host
}

// checkReceive compares the fields of a complete section with each other.
func checkReceive(r *pointsmanv1.ReceiveConfig) []Problem {
	var problems []Problem
	tell := func(path, format string, args ...any) {
		problems = append(problems, Problem{Path: "receive." + path, Message: fmt.Sprintf(format, args...)})
	}
	if host, _, err := net.SplitHostPort(r.GetListen()); err == nil && !loopback(host) && r.GetTls() == nil && !r.GetInsecure() {
		tell("listen", "binds %s without TLS: set tls, or insecure: true behind a proxy of a trusted network", r.GetListen())
	}
	if r.GetListen() == r.GetMetrics() && !strings.HasSuffix(r.GetListen(), ":0") {
		tell("metrics", "%s is also receive.listen", r.GetMetrics())
	}
	if l := r.GetLimits(); l.GetBytes() < 2*r.GetMaxBody() {
		tell("limits.bytes", "is %d, must be twice max_body, %d, at least", l.GetBytes(), r.GetMaxBody())
	}
	if s := r.GetSpill(); s.GetPolicy() == pointsmanv1.SpillPolicy_SPILL_POLICY_WHEN_STORE_FAILS && s.GetDir() == "" {
		tell("spill.dir", "must be set for the policy when_store_fails")
	}
	return problems
}
