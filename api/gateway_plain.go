package api

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// The plain form of one setting, for shells and PHP: the value and nothing else,
// no newline behind it; of a built-in state its word. Asked for by
// GET /v1/settings/{key}:raw, or by Accept: text/plain.
const (
	mimePlain     = "text/plain"
	mimePlainText = "text/plain; charset=utf-8"
	rawVerb       = ":raw" // no key has a colon
	settingsPath  = prefix + "settings"
)

// What a cache may show while no coordinator answers (RFC 5861). An address that
// is a day old is the best there is; a state is soon untrue.
const (
	staleValueFor = 24 * time.Hour
	staleStateFor = time.Minute
)

// readsSettings looks whether the request reads settings, and in which form.
// Such a read takes what can be had unless it names a level.
func (c *call) readsSettings(r *http.Request) {
	path := r.URL.Path
	key, one := strings.CutPrefix(path, settingsPath+"/")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reads || !one && path != settingsPath {
		return
	}
	c.settings = true
	c.plain = one && (strings.HasSuffix(key, rawVerb) || wantsPlain(c.accept))
	if !c.query.Has(levelKey) {
		c.query.Set(levelKey, pointsmanv1.ReadLevel_READ_LEVEL_AVAILABLE.String())
	}
}

// wantsPlain reports whether plain text is asked for first: what clients send
// that take anything names it, too, but later.
func wantsPlain(accept string) bool {
	first, _, _ := strings.Cut(accept, ",")
	kind, _, err := mime.ParseMediaType(first)
	return err == nil && kind == mimePlain
}

// staleIfError is what of Cache-Control says how long an answer may stand in for
// one that cannot be had.
func (c *call) staleIfError() string {
	if !c.settings {
		return ""
	}
	span := staleStateFor
	if key, one := c.params["key"]; one {
		if _, state := fsm.Reserved(key); !state {
			span = staleValueFor
		}
	}
	return ", stale-if-error=" + strconv.Itoa(int(span.Seconds()))
}

// plainCodec writes one setting as plain text. All else is as codec does it.
type plainCodec struct{ codec }

var _ runtime.Marshaler = plainCodec{}

// Marshal implements runtime.Marshaler.
func (plainCodec) Marshal(v any) ([]byte, error) {
	m, ok := v.(*pointsmanv1.GetSettingResponse)
	if !ok {
		return nil, fmt.Errorf("encode %T: %w", v, errNotMessage)
	}
	if word := m.GetSetting().GetWord(); word != "" {
		return []byte(word), nil
	}
	return []byte(m.GetSetting().GetValue()), nil
}

// ContentType implements runtime.Marshaler.
func (plainCodec) ContentType(any) string { return mimePlainText }
