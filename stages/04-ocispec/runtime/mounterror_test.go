package runtime_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// TestMountErrorsSayMoreThanTheKernel: EINVAL and EPERM alone lead nobody to the line of config.json.
func TestMountErrorsSayMoreThanTheKernel(t *testing.T) {
	for want, change := range map[string]func(*specs.Spec){
		`mount tmpfs on /tmp (nosuid): invalid argument: one of its options "size=1m,no-such" is not the file system's`: func(s *specs.Spec) {
			mount(s, "/tmp", "tmpfs", "tmpfs", "nosuid", "size=1m", "no-such")
		},
		` on /proc: operation not permitted: what is mounted on /proc must be procfs`: func(s *specs.Spec) { mount(s, "/proc", "bind", t.TempDir(), "bind") },
	} {
		p := newPlace(t)
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "true", change)})
		require.ErrorContains(t, err, want)
	}
}
