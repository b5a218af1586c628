package api

import (
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// filters are the values of ?filters=, by key.
type filters map[string][]string

// parseFilters reads both forms: {"k":{"v":true}} and {"k":["v"]}. Keys that the endpoint does not know are errors,
// because a filter that is silently ignored shows, or prunes, too much.
func parseFilters(r *http.Request, known ...string) (filters, error) {
	out := filters{}
	text := r.FormValue("filters")
	if text == "" {
		return out, nil
	}
	var newer map[string]map[string]bool
	if err := json.Unmarshal([]byte(text), &newer); err == nil {
		for key, values := range newer {
			for v := range values {
				out[key] = append(out[key], v)
			}
			slices.Sort(out[key])
		}
	} else {
		var older map[string][]string
		if err := json.Unmarshal([]byte(text), &older); err != nil {
			return nil, fault.Invalid("invalid filter: %w", err)
		}
		out = older
	}
	for key := range out {
		if !slices.Contains(known, key) {
			return nil, fault.Invalid("invalid filter '%s'", key)
		}
	}
	return out, nil
}

// any tells whether the key is absent or one of its values fits.
func (f filters) any(key string, fits func(value string) bool) bool {
	values, ok := f[key]
	return !ok || len(values) == 0 || slices.ContainsFunc(values, fits)
}

// all tells whether every value of the key fits.
func (f filters) all(key string, fits func(value string) bool) bool {
	return !slices.ContainsFunc(f[key], func(v string) bool { return !fits(v) })
}

// labels tells whether all label filters ("k" or "k=v") hold and no label! filter does.
func (f filters) labels(have map[string]string) bool {
	holds := func(want string) bool {
		key, value, both := strings.Cut(want, "=")
		v, ok := have[key]
		return ok && (!both || v == value)
	}
	return f.all("label", holds) && f.all("label!", func(v string) bool { return !holds(v) })
}

// truth reads a boolean filter; absent is nil.
func (f filters) truth(key string) (*bool, error) {
	values := f[key]
	if len(values) == 0 {
		return nil, nil
	}
	switch values[0] {
	case "1", "true", "True", "TRUE":
		return new(true), nil
	case "0", "false", "False", "FALSE":
		return new(false), nil
	}
	return nil, fault.Invalid("invalid filter '%s=%s'", key, values[0])
}

// glob matches a repository pattern as docker images does.
func glob(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}
