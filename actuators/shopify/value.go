package shopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/wire"
	"github.com/pointsman/pointsman/fsm"
)

// wanted is an action's value.
type wanted struct {
	Namespace string            `json:"namespace"`
	Values    map[string]string `json:"values"` // by key
}

// keys are in the order in which they are asked for and written.
func (v wanted) keys() []string { return slices.Sorted(maps.Keys(v.Values)) }

func (v wanted) String() string {
	var parts []string
	for _, key := range v.keys() {
		parts = append(parts, fmt.Sprintf("%s.%s = %q", v.Namespace, key, v.Values[key]))
	}
	return wire.Cut(strings.Join(parts, ", "), fsm.MaxReasonBytes)
}

func wantedOf(a fsm.Action) (wanted, error) {
	var v wanted
	if err := json.Unmarshal(a.Value, &v); err != nil || v.Namespace == "" || len(v.Values) == 0 {
		return v, fmt.Errorf("action %s: %w", a.ID, ErrValue)
	}
	return v, nil
}

// words are what a metafield of ours holds. Failover and action make each value
// one of its kind, so that its digest never comes back.
type words struct {
	Cluster  fsm.ClusterID `json:"cluster"`
	Failover string        `json:"failover"`
	Action   fsm.ActionID  `json:"action"`
	Value    string        `json:"value"`
}

func wordsOf(w actuators.Work, value string) words {
	return words{Cluster: w.Cluster, Failover: w.Action.For.String(), Action: w.Action.ID, Value: value}
}

// parseWords reads a metafield; false when it is none of ours, whichever cluster's.
func parseWords(text string) (w words, f fsm.FailoverID, ours bool) {
	if json.Unmarshal([]byte(text), &w) != nil || w.Cluster == "" {
		return w, f, false
	}
	at := strings.LastIndexByte(w.Failover, '/')
	if at <= 0 {
		return w, f, false
	}
	n, err := strconv.ParseUint(w.Failover[at+1:], 10, 64)
	if err != nil {
		return w, f, false
	}
	return w, fsm.FailoverID{Master: fsm.MasterID(w.Failover[:at]), Number: fsm.Number(n)}, true
}

// encode writes JSON without the escapes that are meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
