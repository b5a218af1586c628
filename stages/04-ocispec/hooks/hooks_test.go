package hooks_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/hooks"
)

func shell(script string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin", "MARK=x"}}
}

func TestStateOnStdinInOrder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	first := shell("cat >" + out + "; echo :$MARK:$HOME >>" + out)
	err := hooks.Run(t.Context(), "createRuntime", []specs.Hook{first, shell("echo second >>" + out)}, specs.State{ID: "web", Status: "creating", Bundle: "/"})
	require.NoError(t, err)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, `{"ociVersion":"","id":"web","status":"creating","bundle":"/"}:x:`+"\nsecond\n", string(text))
}

func TestTheFirstFailureEndsIt(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	err := hooks.Run(t.Context(), "prestart", []specs.Hook{shell("echo why >&2; exit 3"), shell("touch " + out)}, specs.State{Bundle: "/"})
	require.EqualError(t, err, "error running prestart hook #0: /bin/sh: exit status 3: why")
	require.NoFileExists(t, out)
}

func TestTimeout(t *testing.T) {
	h := shell("sleep 60 & sleep 60")
	h.Timeout = new(1)
	begin := time.Now()
	err := hooks.Run(t.Context(), "poststart", []specs.Hook{h}, specs.State{Bundle: "/"})
	require.EqualError(t, err, "error running poststart hook #0: /bin/sh: it took longer than 1 s")
	require.Less(t, time.Since(begin), 10*time.Second)
}

func TestMissingProgram(t *testing.T) {
	err := hooks.Run(t.Context(), "prestart", []specs.Hook{{Path: "/no/such"}}, specs.State{Bundle: "/"})
	require.ErrorIs(t, err, os.ErrNotExist)
}
