package api

import (
	"regexp"
	"strings"
)

// nameMatches is docker ps --filter name=: a regular expression, or a part of the name where that is none.
func nameMatches(pattern, name string) bool {
	pattern = strings.TrimPrefix(pattern, "/")
	if re, err := regexp.Compile(strings.Replace(pattern, "^/", "^", 1)); err == nil {
		return re.MatchString(name)
	}
	return strings.Contains(name, pattern)
}
