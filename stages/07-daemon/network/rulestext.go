package network

import (
	"fmt"
	"strings"
)

// String prints the table as `nft list table ip slipway` does, so that what we meant and what the kernel holds can be
// compared, and so that `nft -f` accepts it.
func (r Ruleset) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table ip %s {\n", r.Table)
	for i, s := range r.Sets {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(s.String())
	}
	for _, c := range r.Chains {
		b.WriteString("\n" + c.String())
	}
	return b.String() + "}\n"
}

func (s Set) String() string {
	kind, types := "set", joinTypes(s.Key)
	if s.Value != nil {
		kind, types = "map", types+" : "+joinTypes(s.Value)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\t%s %s {\n\t\ttype %s\n", kind, s.Name, types)
	if len(s.Elements) > 0 {
		words := make([]string, len(s.Elements))
		for i, e := range s.Elements {
			words[i] = e.String()
		}
		fmt.Fprintf(&b, "\t\telements = { %s }\n", strings.Join(words, ",\n\t\t\t     "))
	}
	return b.String() + "\t}\n"
}

func joinTypes(types []FieldType) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return strings.Join(words, " . ")
}

func (e Element) String() string {
	if e.Value == nil {
		return joinAny(e.Key)
	}
	return joinAny(e.Key) + " : " + joinAny(e.Value)
}

func joinAny(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, " . ")
}

func (c Chain) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\tchain %s {\n\t\ttype %s hook %s priority %s; policy accept;\n", c.Name, c.Type, c.Hook, c.Priority)
	for _, r := range c.Rules {
		fmt.Fprintf(&b, "\t\t%s\n", r)
	}
	return b.String() + "\t}\n"
}

func (r Rule) String() string {
	words := make([]string, len(r))
	for i, e := range r {
		words[i] = e.String()
	}
	return strings.Join(words, " ")
}
