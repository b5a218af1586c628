package runtime_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// TestErrorsHaveTypes is the list in the package's documentation.
func TestErrorsHaveTypes(t *testing.T) {
	p := newPlace(t)
	_, err := p.State("none")
	require.ErrorIs(t, err, runtime.ErrNotExist)

	p.create(t, p.bundle(t, "sleep 1000", nil))
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: p.bundle(t, "true", nil)})
	require.ErrorIs(t, err, runtime.ErrExist)

	var status *lifecycle.Error
	require.ErrorAs(t, p.Resume(t.Context(), "c"), &status)
	require.Equal(t, lifecycle.Created, status.Status)

	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "d", Bundle: p.bundle(t, "", func(s *specs.Spec) { s.Process.Args = []string{"/nope"} })})
	var program *runtime.ProgramError
	require.ErrorAs(t, err, &program)
	require.Equal(t, "/nope", program.Program)
	require.ErrorIs(t, err, unix.ENOENT)

	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "d", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, bind("/no/such/source", "/out"))
	})})
	var step *launch.StepError
	require.ErrorAs(t, err, &step)
	require.ErrorIs(t, err, unix.ENOENT)
}
