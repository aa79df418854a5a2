package samples

import _ "embed"

// The files, as text. Nothing assigns to these after go:embed has.

//go:embed node.yaml
var node string

//go:embed spec.yaml
var spec string

//go:embed workers.yaml
var workers string

//go:embed redis.conf
var redisConf string

//go:embed sentinel.conf
var sentinelConf string

//go:embed haproxy.cfg
var haproxyCfg string

//go:embed webhooks/webhook.yaml
var webhook string

//go:embed webhooks/haproxy.cfg
var webhookHAProxy string

//go:embed webhooks/nginx.conf
var webhookNginx string

// ObserverPassword is the password that redis.conf and sentinel.conf give the
// user "observer", as a placeholder to be changed.
const ObserverPassword = "change-me"

// Node is the node file of the first coordinator.
func Node() string { return node }

// Spec is the cluster-wide configuration.
func Spec() string { return spec }

// Workers is a spec with pools of workers.
func Workers() string { return workers }

// Redis is the configuration of a Redis node that may become master.
func Redis() string { return redisConf }

// Sentinel is the configuration of a Sentinel.
func Sentinel() string { return sentinelConf }

// HAProxy is the configuration of a HAProxy in front of the master.
func HAProxy() string { return haproxyCfg }

// Webhook is the webhook file of receivers and workers.
func Webhook() string { return webhook }

// WebhookHAProxy is the configuration of a HAProxy in front of two receivers.
func WebhookHAProxy() string { return webhookHAProxy }

// WebhookNginx is the configuration of an nginx in front of two receivers.
func WebhookNginx() string { return webhookNginx }
