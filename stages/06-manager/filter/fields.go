package filter

import "strings"

// Map makes Fields from plain values and labels. Containerd's clients write a
// label either quoted, labels."a.b", or with its dots as they are, labels.a.b.
func Map(values map[string]string, labels map[string]string) Fields {
	return func(path []string) (string, bool) {
		if path[0] == "labels" {
			v, ok := labels[strings.Join(path[1:], ".")]
			return v, ok
		}
		v, ok := values[strings.Join(path, ".")]
		return v, ok && v != ""
	}
}
