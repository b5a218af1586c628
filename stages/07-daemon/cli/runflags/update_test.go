package runflags_test

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestUpdateSendsOnlyWhatWasGiven(t *testing.T) {
	nine := int64(9)
	for _, test := range []struct {
		args   []string
		want   container.Resources
		policy container.RestartPolicy
		err    string
	}{
		{args: nil, err: "you must provide one or more flags when using this command"},
		{args: []string{"-m", "64m", "--memory-swap", "-1"}, want: container.Resources{Memory: 64 << 20, MemorySwap: -1}},
		{args: []string{"--pids-limit", "9", "--cpus", "0.5"}, want: container.Resources{PidsLimit: &nine, NanoCPUs: 500_000_000}},
		{args: []string{"--restart", "on-failure:2"}, policy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 2}},
	} {
		var u runflags.Update
		fs := pflag.NewFlagSet("update", pflag.ContinueOnError)
		u.Bind(fs)
		require.NoError(t, fs.Parse(test.args))
		resources, policy, err := u.Compile()
		if test.err != "" {
			require.EqualError(t, err, test.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, test.want, *resources)
		require.Equal(t, test.policy, *policy)
	}
}
