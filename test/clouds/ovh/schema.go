package ovh

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// kind checks one JSON value that is not null.
type kind func(json.RawMessage) bool

// field is one line of a model: who may set it, and what it holds.
type field struct {
	name     string
	kind     kind
	null     bool            // null is a value; for other fields null means the default, if there is one
	readOnly bool            // PUT may not change it
	create   bool            // POST may set it
	required bool            // POST must set it
	unset    json.RawMessage // default of a field that is never null; nil: it cannot be unset
}

type object map[string]json.RawMessage

func frontendModel() []field {
	return []field{
		{name: "allowedSource", kind: isBlocks, null: true, create: true},
		{name: "dedicatedIpfo", kind: isBlocks, null: true, create: true},
		{name: "defaultFarmId", kind: isInteger, null: true, create: true},
		{name: "defaultSslId", kind: isInteger, null: true, create: true},
		{name: "deniedSource", kind: isBlocks, null: true, create: true},
		{name: "disabled", kind: isBoolean, create: true, unset: json.RawMessage("false")},
		{name: "displayName", kind: isString, null: true, create: true},
		{name: "frontendId", kind: isInteger, readOnly: true},
		{name: "port", kind: isPorts, create: true, required: true},
		{name: "ssl", kind: isBoolean, create: true, unset: json.RawMessage("false")},
		{name: "vrackNetworkId", kind: isInteger, null: true, readOnly: true},
		{name: "vrackVrouterId", kind: isInteger, null: true, readOnly: true},
		{name: "zone", kind: isString, create: true, required: true},
	}
}

func farmModel() []field {
	return []field{
		{name: "balance", kind: isOneOf("first", "leastconn", "roundrobin", "source"), null: true, create: true},
		{name: "displayName", kind: isString, null: true, create: true},
		{name: "farmId", kind: isInteger, readOnly: true},
		{name: "port", kind: isPort, null: true, create: true},
		{name: "probe", kind: isProbe, null: true, create: true},
		{name: "stickiness", kind: isOneOf("sourceIp"), null: true, create: true},
		{name: "vrackNetworkId", kind: isInteger, null: true, create: true},
		{name: "zone", kind: isString, readOnly: true, create: true, required: true},
	}
}

func serverModel() []field {
	return []field{
		{name: "address", kind: isIPv4, readOnly: true, create: true, required: true},
		{name: "backendId", kind: isInteger, readOnly: true},
		{name: "backup", kind: isBoolean, create: true, unset: json.RawMessage("false")},
		{name: "chain", kind: isString, null: true, create: true},
		{name: "displayName", kind: isString, null: true, create: true},
		{name: "onMarkedDown", kind: isOneOf("shutdown-sessions"), null: true, create: true},
		{name: "port", kind: isPort, null: true, create: true},
		{name: "probe", kind: isBoolean, create: true, unset: json.RawMessage("false")},
		{name: "proxyProtocolVersion", kind: isOneOf("v1", "v2", "v2-ssl", "v2-ssl-cn"), null: true, create: true},
		{name: "serverId", kind: isInteger, readOnly: true},
		{name: "serverState", kind: isArray, readOnly: true},
		{name: "ssl", kind: isBoolean, create: true, unset: json.RawMessage("false")},
		{name: "status", kind: isOneOf("active", "inactive"), create: true, required: true},
		{name: "weight", kind: isWeight, null: true, create: true},
	}
}

func probeModel() []field {
	return []field{
		{name: "forceSsl", kind: isBoolean, null: true, create: true},
		{name: "interval", kind: isInterval, null: true, create: true},
		{name: "match", kind: isOneOf("contains", "default", "internal", "matches", "status"), null: true, create: true},
		{name: "method", kind: isOneOf("GET", "HEAD", "OPTIONS", "internal"), null: true, create: true},
		{name: "negate", kind: isBoolean, null: true, create: true},
		{name: "pattern", kind: isString, null: true, create: true},
		{name: "port", kind: isPort, null: true, create: true},
		{name: "type", kind: isOneOf("http", "internal", "mysql", "oco", "pgsql", "smtp", "tcp"), null: true, create: true},
		{name: "url", kind: isString, null: true, create: true},
	}
}

// overlay lays a body over what is stored: a field left out stays, null resets, a readOnly field is ignored or
// refused by the knob (an unchanged one is always fine). With creating the rules of POST hold instead.
func overlay(model []field, stored, body object, k Knobs, creating bool) (object, error) {
	out := make(object, len(stored))
	for name, value := range stored {
		out[name] = value
	}
	if k.PutReplaces && !creating {
		toDefaults(model, out)
	}
	for name, value := range body {
		i := slices.IndexFunc(model, func(f field) bool { return f.name == name })
		if i < 0 {
			if k.Unknown == Refuse {
				return nil, badRequest("Received not described parameters: (" + name + ") while calling the API")
			}
			continue
		}
		f := model[i]
		if (creating && !f.create) || (!creating && f.readOnly) {
			if k.ReadOnly == Refuse && !sameJSON(stored[name], value) {
				return nil, badRequest("Field " + name + " is read only")
			}
			continue
		}
		value, err := f.check(value)
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	if creating {
		for _, f := range model {
			if given, ok := body[f.name]; f.required && (!ok || isNull(given)) {
				return nil, badRequest("Missing mandatory parameter " + f.name)
			}
		}
	}
	return out, nil
}

// toDefaults brings the fields that a PUT may set to their defaults, where they have any.
func toDefaults(model []field, o object) {
	for _, f := range model {
		switch {
		case f.readOnly:
		case f.null:
			o[f.name] = json.RawMessage("null")
		case f.unset != nil:
			o[f.name] = f.unset
		}
	}
}

func (f field) check(value json.RawMessage) (json.RawMessage, error) {
	if isNull(value) {
		switch {
		case f.null:
			return value, nil
		case f.unset != nil:
			return f.unset, nil
		}
		return nil, badRequest("Invalid parameter " + f.name + ": null is not allowed")
	}
	if !f.kind(value) {
		return nil, badRequest("Invalid parameter " + f.name + ": " + string(value))
	}
	return value, nil
}

func (o object) bytes() []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // every value was read as JSON
	}
	return b
}

func toObject(v any) object {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // models hold nothing that JSON cannot write
	}
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		panic(err)
	}
	return o
}

func fromObject[T any](o object) (T, error) {
	var v T
	b, err := json.Marshal(o)
	if err != nil {
		return v, badRequest(err.Error())
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, badRequest(err.Error())
	}
	return v, nil
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, errP := json.Marshal(x)
	q, errQ := json.Marshal(y)
	return errP == nil && errQ == nil && bytes.Equal(p, q)
}

func isNull(v json.RawMessage) bool { return string(bytes.TrimSpace(v)) == "null" }

func text(v json.RawMessage) (string, bool) {
	var s string
	return s, json.Unmarshal(v, &s) == nil
}

func integer(v json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
	return n, err == nil
}

func isString(v json.RawMessage) bool { _, ok := text(v); return ok }

func isInteger(v json.RawMessage) bool { _, ok := integer(v); return ok }

func isBoolean(v json.RawMessage) bool {
	s := string(bytes.TrimSpace(v))
	return s == "true" || s == "false"
}

func isArray(v json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(v), []byte("[")) }

func isPort(v json.RawMessage) bool {
	n, ok := integer(v)
	return ok && n >= 1 && n <= 65535
}

func isWeight(v json.RawMessage) bool {
	n, ok := integer(v)
	return ok && n >= 0 && n <= 256
}

// The provider takes 30 s to an hour between two probes.
func isInterval(v json.RawMessage) bool {
	n, ok := integer(v)
	return ok && n >= 30 && n <= 3600
}

func isOneOf(words ...string) kind {
	return func(v json.RawMessage) bool {
		s, ok := text(v)
		return ok && slices.Contains(words, s)
	}
}

func isIPv4(v json.RawMessage) bool {
	s, ok := text(v)
	if !ok {
		return false
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

func isBlocks(v json.RawMessage) bool {
	var blocks []string
	if json.Unmarshal(v, &blocks) != nil {
		return false
	}
	for _, b := range blocks {
		if _, err := parseBlock(b); err != nil {
			return false
		}
	}
	return true
}

// parseBlock reads an address or a prefix.
func parseBlock(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// isPorts takes the text form of a frontend's port: ports and ranges, separated by commas.
func isPorts(v json.RawMessage) bool {
	s, ok := text(v)
	if !ok {
		return false
	}
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		if !isPort(json.RawMessage(low)) || !isPort(json.RawMessage(high)) {
			return false
		}
	}
	return true
}

func isProbe(v json.RawMessage) bool {
	var o object
	if json.Unmarshal(v, &o) != nil {
		return false
	}
	_, err := overlay(probeModel(), object{}, o, Knobs{Unknown: Refuse}, true)
	return err == nil
}
