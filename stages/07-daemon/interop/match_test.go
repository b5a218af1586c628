//go:build interop

package interop

import "regexp"

// matchEnd is where the first match ends, -1 without one.
func matchEnd(pattern, text string) int {
	if at := regexp.MustCompile(pattern).FindStringIndex(text); at != nil {
		return at[1]
	}
	return -1
}
