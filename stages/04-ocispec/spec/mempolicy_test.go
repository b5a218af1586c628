package spec_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

func TestParseMemoryPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy specs.LinuxMemoryPolicy
		want   spec.MemoryPolicy
		err    string
	}{
		"interleave":     {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0"}, want: spec.MemoryPolicy{Mode: 3, Nodes: []uint64{1}, Bits: 65}},
		"ranges":         {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-1, 64", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}, want: spec.MemoryPolicy{Mode: 2 | 1<<15, Nodes: []uint64{3, 1}, Bits: 129}},
		"default":        {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolDefault}},
		"no mode":        {policy: specs.LinuxMemoryPolicy{Nodes: "0"}, err: `invalid memory policy mode ""`},
		"flag":           {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"x"}}, err: `invalid memory policy flag "x"`},
		"too many nodes": {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-9876543210"}, err: `invalid memory policy node "0-9876543210": nodes are 0 to 1023`},
		"backwards":      {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "3-1"}, err: `invalid memory policy node "3-1": nodes are 0 to 1023`},
		"nodes for none": {policy: specs.LinuxMemoryPolicy{Mode: specs.MpolDefault, Nodes: "0-7"}, err: `invalid memory policy: MPOL_DEFAULT mode requires 0 nodes but got 8`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := spec.ParseMemoryPolicy(&c.policy)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, *got)
		})
	}
}
