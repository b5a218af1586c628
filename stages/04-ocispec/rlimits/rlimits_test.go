package rlimits_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/rlimits"
)

func TestParse(t *testing.T) {
	got, err := rlimits.Parse([]specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: 6}})
	require.NoError(t, err)
	require.Equal(t, []rlimits.Limit{{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, 5, 6}}, got)
	for want, list := range map[string][]specs.POSIXRlimit{
		`[0].type: unknown limit "RLIMIT_NOPE"`:               {{Type: "RLIMIT_NOPE"}},
		`[1].type: RLIMIT_CPU stands twice`:                   {{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_CPU"}},
		`[0]: RLIMIT_CPU: soft limit 2 is above hard limit 1`: {{Type: "RLIMIT_CPU", Soft: 2, Hard: 1}},
	} {
		_, err := rlimits.Parse(list)
		require.EqualError(t, err, want)
	}
}
