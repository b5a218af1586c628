package differential

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// difference is one that stays, and why. Patterns are those of path.Match, where * does not match a slash.
type difference struct {
	peer      string // runc, crun, or * for both
	cases     string // pattern of the cases' names
	fact      string // pattern of the facts' names
	sometimes bool   // it depends on the machine
	reason    string
}

func (d difference) explains(testCase, peer, fact string) bool {
	return matches(d.peer, peer) && matches(d.cases, testCase) && matches(d.fact, fact)
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// A pattern that is no pattern would match nothing, in silence.
func TestKnownPatterns(t *testing.T) {
	for _, k := range known {
		for _, p := range []string{k.peer, k.cases, k.fact} {
			_, err := path.Match(p, "")
			require.NoError(t, err, p)
		}
		require.NotEmpty(t, k.reason)
	}
}

var known = []difference{}
