// Package webhookv1 is what the webhook path keeps in its object store:
// envelopes of events, heads of partitions, letters. Generated from
// proto/webhook/v1; see package webhook.
package webhookv1
