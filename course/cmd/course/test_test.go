package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatGoTestIsAskedFor(t *testing.T) {
	for name, row := range map[string]struct {
		o    testOptions
		want []string
	}{
		"here":             {testOptions{}, []string{"-p", "1", "-count=1", "./..."}},
		"some":             {testOptions{only: []string{"./a", "./b/..."}, run: "X"}, []string{"-p", "1", "-count=1", "-run", "X", "./a", "./b/..."}},
		"in a VM":          {testOptions{vm: "1"}, []string{"-p", "1", "-count=1", "-timeout=30m", "-exec", "/r/course/vm/run --", "./..."}},
		"in one's systemd": {testOptions{vm: systemd}, []string{"-p", "1", "-count=1", "-timeout=30m", "-exec", "/r/course/vm/run --systemd --", "./..."}},
	} {
		require.Equal(t, row.want, row.o.args("/r"), name)
	}
}
