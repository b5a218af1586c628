package cgroup

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListed(t *testing.T) {
	for text, want := range map[string][]uint16{"": nil, "0": {0}, "0-2,5": {0, 1, 2, 5}, "7,1": {1, 7}} {
		got, err := listed(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"x", "1-", "-1", "99999"} {
		_, err := listed(text)
		require.Error(t, err, text)
	}
}
