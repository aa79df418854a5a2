package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

// App and Secret are what receivers of a playground serve.
const (
	App    = "orders"
	Secret = "hush-of-the-playground"
	Topic  = "orders/create"
)

// Post is one delivery. Its retries have the same ID.
type Post struct {
	Shop, ID string
	Body     []byte
}

// Sign is the text of a body's MAC under Secret.
func Sign(body []byte) string {
	m := hmac.New(sha256.New, []byte(Secret))
	m.Write(body)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Headers are those of a delivery, in the order in which they are sent.
func (p Post) Headers() [][2]string {
	return [][2]string{
		{"Content-Type", "application/json"},
		{"X-Shopify-Topic", Topic},
		{"X-Shopify-Shop-Domain", p.Shop},
		{"X-Shopify-Api-Version", "2026-10"},
		{"X-Shopify-Hmac-Sha256", Sign(p.Body)},
		{"X-Shopify-Webhook-Id", p.ID},
	}
}

// Request is a delivery to a receiver at host:port.
func (p Post) Request(ctx context.Context, receiver string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+receiver+Path, bytes.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	for _, h := range p.Headers() {
		r.Header.Set(h[0], h[1])
	}
	return r, nil
}

// Path is where deliveries go.
const Path = "/webhooks/" + App
