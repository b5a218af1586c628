package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/02-cgroups/dbus"
)

// unitProperties reads the annotations that set properties of the container's systemd unit, "org.systemd.property.NAME" with a
// value in GVariant's text form, as runc and crun know them.
func unitProperties(annotations map[string]string) (dbus.Properties, error) {
	var all dbus.Properties
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, "org.systemd.property.")
		if !ok {
			continue
		}
		foreign := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
		if len(name) < 3 || strings.ContainsFunc(name, foreign) {
			return nil, fmt.Errorf("annotation %s: %q is no name of a property", key, name)
		}
		value, err := dbus.ParseText(annotations[key])
		if err == nil {
			name, value, err = inMicroseconds(name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", key, err)
		}
		all = append(all, dbus.Property{Name: name, Value: value})
	}
	return all, nil
}

// inMicroseconds: systemd's files have TimeoutStopSec where its D-Bus has TimeoutStopUSec.
func inMicroseconds(name string, value any) (string, any, error) {
	base, ok := strings.CutSuffix(name, "Sec")
	if !ok || base == "" || base[len(base)-1] < 'a' || base[len(base)-1] > 'z' {
		return name, value, nil
	}
	var seconds float64
	switch n := value.(type) {
	case byte:
		seconds = float64(n)
	case int16:
		seconds = float64(n)
	case uint16:
		seconds = float64(n)
	case int32:
		seconds = float64(n)
	case uint32:
		seconds = float64(n)
	case int64:
		seconds = float64(n)
	case uint64:
		seconds = float64(n)
	case float64:
		seconds = n
	default:
		return "", nil, fmt.Errorf("%v is no number of seconds", value)
	}
	if usec := seconds * 1e6; usec >= 0 && usec < 1<<63 {
		return base + "USec", uint64(usec), nil
	}
	return "", nil, fmt.Errorf("%v seconds is no time", value)
}
