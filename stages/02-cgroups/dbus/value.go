// Package dbus speaks as much of the D-Bus protocol as it takes to ask systemd for a unit: one connection over
// a unix socket, method calls, replies. Source: the D-Bus Specification, sections "Type System", "Marshaling
// (Wire Format)" and "Message Protocol".
//
// Reading order: value.go (what can be said), encode.go, decode.go, message.go, conn.go.
package dbus

import "fmt"

// Values that a call can carry: byte, bool, int16, uint16, int32, uint32, int64, uint64, float64, string, Path,
// []byte, []string, []uint32, Pairs, Properties, Units, and Variant.

// Path is an object's path ("o").
type Path string

// Variant is a value that says what type it has ("v").
type Variant struct{ Value any }

// Property is a name and a value of any type: "(sv)".
type Property struct {
	Name  string
	Value any
}

// Properties is a list of them: "a(sv)".
type Properties []Property

// Pairs are pairs of strings: "a(ss)".
type Pairs [][2]string

// Units are further units of a transient unit: "a(sa(sv))". systemd wants the list, and nobody fills it.
type Units struct{}

// signature names the type of a value (section "Type Signatures").
func signature(v any) (string, error) {
	switch v.(type) {
	case byte:
		return "y", nil
	case bool:
		return "b", nil
	case int16:
		return "n", nil
	case uint16:
		return "q", nil
	case int32:
		return "i", nil
	case uint32:
		return "u", nil
	case int64:
		return "x", nil
	case uint64:
		return "t", nil
	case float64:
		return "d", nil
	case string:
		return "s", nil
	case Path:
		return "o", nil
	case []byte:
		return "ay", nil
	case []string:
		return "as", nil
	case []uint32:
		return "au", nil
	case Pairs:
		return "a(ss)", nil
	case Properties:
		return "a(sv)", nil
	case Units:
		return "a(sa(sv))", nil
	case Variant:
		return "v", nil
	}
	return "", fmt.Errorf("dbus: a value of type %T cannot be sent", v)
}
