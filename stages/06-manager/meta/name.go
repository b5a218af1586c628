package meta

import (
	"strings"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

const maxName = 76 // containerd's limit for identifiers

// ValidName checks an identifier that becomes a path element (a namespace, a
// container): letters and digits, with single '.', '_' or '-' between them. So
// neither "" nor ".." nor "a/b" can leave the directory it is joined to.
func ValidName(what, name string) error {
	switch {
	case name == "":
		return fault.New(fault.InvalidArgument, "%s: name is empty", what)
	case len(name) > maxName:
		return fault.New(fault.InvalidArgument, "%s %q: longer than %d", what, name, maxName)
	}
	alnum := false // whether the last character was a letter or digit
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			alnum = true
		case strings.IndexByte("._-", c) >= 0 && alnum:
			alnum = false
		default:
			return fault.New(fault.InvalidArgument, "%s %q: must be letters and digits with single . _ - between", what, name)
		}
	}
	if !alnum {
		return fault.New(fault.InvalidArgument, "%s %q: must end in a letter or digit", what, name)
	}
	return nil
}

// maxLabel bounds key and value together, as containerd does: labels travel in
// every answer.
const maxLabel = 4096

// ValidLabels checks the size of each label.
func ValidLabels(labels map[string]string) error {
	for k, v := range labels {
		if len(k)+len(v) > maxLabel {
			return fault.New(fault.InvalidArgument, "label %.32q…: key and value together are longer than %d", k, maxLabel)
		}
	}
	return nil
}
