package caps_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
)

func TestParse(t *testing.T) {
	m, unknown := caps.Parse([]string{"CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE", "CAP_FUTURE", "KILL"})
	require.Equal(t, caps.Mask(1|1<<5|1<<40), m)
	require.Equal(t, []string{"CAP_FUTURE", "KILL"}, unknown)
	require.Equal(t, "CAP_CHOWN CAP_KILL CAP_CHECKPOINT_RESTORE", m.String())
	require.Equal(t, 3, m.Count())
}

func TestDockersDefaultIsTheKnownMask(t *testing.T) {
	s, unknown := caps.FromSpec(&specs.LinuxCapabilities{Bounding: []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}})
	require.Empty(t, unknown)
	require.Equal(t, caps.Mask(0xa80425fb), s.Bounding)
}

func TestLimit(t *testing.T) {
	const chown, kill, resource = 1, 1 << 5, 1 << 24
	for name, c := range map[string]struct {
		want    caps.Sets
		own     caps.Mask
		got     caps.Sets
		missing caps.Mask
	}{
		"all there": {
			caps.Sets{Bounding: chown | kill, Permitted: chown | kill, Effective: chown},
			chown | kill | resource,
			caps.Sets{Bounding: chown | kill, Permitted: chown | kill, Effective: chown},
			0,
		},
		"one that we lack": {
			caps.Sets{Bounding: chown | resource, Permitted: chown | resource, Effective: chown | resource},
			chown | kill,
			caps.Sets{Bounding: chown, Permitted: chown, Effective: chown},
			resource,
		},
		"effective without permitted": {
			caps.Sets{Bounding: chown | kill, Permitted: chown, Effective: chown | kill},
			chown | kill,
			caps.Sets{Bounding: chown | kill, Permitted: chown, Effective: chown},
			0,
		},
		"ambient needs permitted and inheritable": {
			caps.Sets{Bounding: chown | kill, Permitted: chown | kill, Inheritable: kill, Ambient: chown | kill},
			chown | kill,
			caps.Sets{Bounding: chown | kill, Permitted: chown | kill, Inheritable: kill, Ambient: kill},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, missing, err := caps.Limit(c.want, c.own)
			require.NoError(t, err)
			require.Equal(t, c.got, got)
			require.Equal(t, c.missing, missing)
		})
	}
}
