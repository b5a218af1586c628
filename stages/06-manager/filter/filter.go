// Package filter reads containerd's filter language and matches values with it:
//
//	name==docker.io/library/alpine:latest,labels."app.role"==web
//	topic~="^/tasks/",namespace==default
//	labels.keep
//
// Selectors joined by ',' must all match; of several filters one must. The
// operators are == (equal), != (not equal) and ~= (a Go regular expression);
// a path alone asks whether the field is present. The language is described in
// containerd's documentation of its services, the parser is ours.
package filter

import (
	"regexp"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// Fields looks up a field of the value to be matched: ("labels", "app.role").
type Fields func(path []string) (value string, present bool)

// Set is several filters, of which one must match. The empty set matches everything.
type Set []Filter

// Filter is selectors that must all match.
type Filter []Selector

// Selector is one comparison.
type Selector struct {
	Path  []string
	Op    Op
	Value string
	re    *regexp.Regexp // for Matches
}

// Op is the comparison.
type Op string

// The operators. Present is a path alone.
const (
	Present  Op = ""
	Equal    Op = "=="
	NotEqual Op = "!="
	Matches  Op = "~="
)

// Parse reads filters; an empty string is a filter that matches everything.
func Parse(filters ...string) (Set, error) {
	var set Set
	for _, text := range filters {
		f, err := parse(text)
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "filter %q: %w", text, err)
		}
		set = append(set, f)
	}
	return set, nil
}

// Match says whether one of the filters matches.
func (s Set) Match(fields Fields) bool {
	for _, f := range s {
		if f.Match(fields) {
			return true
		}
	}
	return len(s) == 0
}

// Match says whether all selectors match.
func (f Filter) Match(fields Fields) bool {
	for _, sel := range f {
		if !sel.match(fields) {
			return false
		}
	}
	return true
}

func (s Selector) match(fields Fields) bool {
	value, present := fields(s.Path)
	switch s.Op {
	case Present:
		return present
	case Equal:
		return present && value == s.Value
	case NotEqual:
		return value != s.Value
	default:
		return present && s.re.MatchString(value)
	}
}
