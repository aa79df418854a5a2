package receive

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/pointsman/pointsman/webhook"
)

// maxHeader is the longest value of a header that is kept, in bytes.
const maxHeader = 512

// maxHeaders bounds all headers of a request, in bytes.
const maxHeaders = 16 << 10

// family is the names of one kind of headers, in Go's spelling.
type family struct {
	name                                                            webhook.Family
	mac, topic, shop, version, id, event, subscription, triggeredAt string
}

// families are both kinds. The one whose MAC is there is a delivery's.
func families() [2]family {
	return [2]family{
		{
			webhook.FamilyWebhook, "X-Shopify-Hmac-Sha256", "X-Shopify-Topic", "X-Shopify-Shop-Domain", "X-Shopify-Api-Version",
			"X-Shopify-Webhook-Id", "X-Shopify-Event-Id", "X-Shopify-Name", "X-Shopify-Triggered-At",
		},
		{
			webhook.FamilyEvents, "Shopify-Hmac-Sha256", "Shopify-Topic", "Shopify-Shop-Domain", "Shopify-Api-Version",
			"Shopify-Webhook-Id", "Shopify-Event-Id", "Shopify-Handle", "Shopify-Triggered-At",
		},
	}
}

// headerError is a header that is missing or wrong.
type headerError struct{ name, what string }

func (e headerError) Error() string { return fmt.Sprintf("header %s %s", e.name, e.what) }

// readHeaders makes an event of a delivery's headers, and answers its MAC as
// text. Nothing of it is verified.
func readHeaders(h http.Header, app string) (webhook.Event, string, error) {
	kinds := families()
	f := kinds[0]
	if len(h[f.mac]) == 0 && len(h[kinds[1].mac]) > 0 {
		f = kinds[1]
	}
	e := webhook.Event{App: app, Family: f.name}
	mac := ""
	for _, one := range []struct {
		into     *string
		name     string
		required bool
	}{
		{&mac, f.mac, true},
		{&e.Topic, f.topic, true},
		{&e.Shop, f.shop, true},
		{&e.APIVersion, f.version, true},
		{&e.WebhookID, f.id, true},
		{&e.EventID, f.event, false},
		{&e.Name, f.subscription, false},
		{&e.TriggeredAt, f.triggeredAt, false},
		{&e.ContentType, "Content-Type", false},
	} {
		value, what := single(h[one.name], one.required)
		if what != "" {
			return e, "", headerError{one.name, what}
		}
		*one.into = value
	}
	e.ID = webhook.IDOf(app, e.Shop, e.WebhookID)
	return e, mac, nil
}

// single is a header's one value, or what is wrong with it. A proxy may have
// written the same value twice.
func single(values []string, required bool) (value, what string) {
	for i, v := range values {
		switch {
		case i > 0 && v != values[0]:
			return "", "is there twice, with different values"
		case len(v) > maxHeader:
			return "", fmt.Sprintf("has %d bytes, at most %d", len(v), maxHeader)
		case !utf8.ValidString(v):
			return "", "is not UTF-8"
		}
		for _, c := range v {
			if unicode.IsControl(c) {
				return "", fmt.Sprintf("holds the character %U", c)
			}
		}
	}
	switch {
	case len(values) > 0 && values[0] != "":
		return values[0], ""
	case required:
		return "", "is missing"
	}
	return "", ""
}

// readMAC reads the text of a MAC: 32 bytes in the standard alphabet of base64,
// and in no other.
func readMAC(text string) ([]byte, bool) {
	if len(text) != 44 {
		return nil, false
	}
	mac, err := base64.StdEncoding.Strict().DecodeString(text)
	return mac, err == nil && len(mac) == 32
}
