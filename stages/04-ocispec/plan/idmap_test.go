package plan

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// TestGroupsOfAnOrdinaryUser: who maps one group had to give up setgroups, and cannot have more; who has a range can.
func TestGroupsOfAnOrdinaryUser(t *testing.T) {
	self := []specs.LinuxIDMapping{{HostID: 1500, Size: 1}}
	ranges := append(self[:1:1], specs.LinuxIDMapping{ContainerID: 1, HostID: 200000, Size: 65536})
	for _, row := range []struct {
		rootless bool
		gids     []specs.LinuxIDMapping
		no       bool
	}{{true, self, true}, {true, ranges, false}, {false, self, false}, {true, nil, false}} {
		c := &compiler{facts: Facts{Rootless: row.rootless}, spec: &specs.Spec{Linux: &specs.Linux{GIDMappings: row.gids}}, proc: &specs.Process{}}
		require.Equal(t, row.no, c.noGroups(), row)
		require.NoError(t, c.checkGroups())
		c.proc.User.AdditionalGids = []uint32{5}
		require.Equal(t, row.no, c.checkGroups() != nil, row)
	}
	require.Equal(t, "0 1500 1\n1 200000 65536\n", mapText(ranges))
	require.True(t, onlySelf(self))
	require.False(t, onlySelf(ranges))
}
