package devices_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/devices"
)

func TestAllowStartsFromNothingAndKeepsWhatConfigSays(t *testing.T) {
	fuse := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(10)), Minor: new(int64(229)), Access: "rwm"}
	in := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{fuse}}
	out := devices.Allow(in)
	require.Equal(t, specs.LinuxDeviceCgroup{Access: "rwm"}, out.Devices[0])
	require.Equal(t, fuse, out.Devices[1])
	require.Contains(t, out.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(7)), Access: "rwm"})
	require.Len(t, in.Devices, 1, "the configuration is not changed")
	require.NotEmpty(t, devices.Allow(nil).Devices)
}
