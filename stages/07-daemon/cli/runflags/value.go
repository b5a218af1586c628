package runflags

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// FlagError is a value that its flag does not take.
type FlagError struct {
	Value, Flag string
	Err         error
}

// Error words it as pflag does.
func (e FlagError) Error() string {
	name := "--" + e.Flag
	if e.Flag == "attach" {
		name = "-a, --attach"
	}
	return fmt.Sprintf("invalid argument %q for %q flag: %v", e.Value, name, e.Err)
}

// Unwrap returns the reason.
func (e FlagError) Unwrap() error { return e.Err }

// listValue is a flag that may be repeated; unlike pflag's slices it does not split at commas.
type listValue struct{ into *[]string }

func list(into *[]string) listValue { return listValue{into} }

// List is a flag that may be repeated.
func List(into *[]string) pflag.Value { return list(into) }

// Pairs turns `a=b` words into a map; none is nil.
func Pairs(words []string) map[string]string { return pairs(words) }

// Set adds one value.
func (v listValue) Set(text string) error {
	*v.into = append(*v.into, text)
	return nil
}

// String shows nothing: an empty default is not worth a word in the help.
func (v listValue) String() string { return "" }

// Type names the kind of the value in the help.
func (v listValue) Type() string { return "list" }

// bytesValue is a size such as 64m; it is checked where it is given, so that the message names the flag.
type bytesValue struct{ into *string }

func sizeFlag(into *string) bytesValue { return bytesValue{into} }

// Set checks and keeps the text: only the compiler knows what -1 means to which limit.
func (v bytesValue) Set(text string) error {
	if text != "-1" {
		if _, err := units.RAMInBytes(text); err != nil {
			return err
		}
	}
	*v.into = text
	return nil
}

// String shows nothing, as with lists.
func (v bytesValue) String() string { return "" }

// Type names the kind of the value in the help.
func (v bytesValue) Type() string { return "bytes" }

// size reads a checked size; empty is 0 and -1 stays -1.
func size(text string) (int64, error) {
	switch text {
	case "":
		return 0, nil
	case "-1":
		return -1, nil
	}
	return units.RAMInBytes(text)
}

// pairs turns `a=b` words into a map; a word without `=` has an empty value.
func pairs(words []string) map[string]string {
	if len(words) == 0 {
		return nil
	}
	all := make(map[string]string, len(words))
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		all[name] = value
	}
	return all
}

// strictPairs is pairs for flags in which the `=` is required.
func strictPairs(flag string, words []string) (map[string]string, error) {
	for _, word := range words {
		if name, _, ok := strings.Cut(word, "="); !ok || name == "" {
			return nil, FlagError{word, flag, errors.New("must be formatted as key=value")}
		}
	}
	return pairs(words), nil
}
