package runtime_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

func TestHooksInTheirOrder(t *testing.T) {
	p := newPlace(t)
	log := filepath.Join(p.out, "log")
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >" + log + "." + name + "; echo " + name + " >>" + log}, Env: []string{"PATH=/bin:/usr/bin"}}}
	}
	inside := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/out/log.startContainer; echo startContainer >>/out/log; test -e /bin/busybox"}}}
	_, status := p.run(t, "echo program >>/out/log", func(s *specs.Spec) {
		s.Hooks = &specs.Hooks{
			Prestart: hook("prestart"), CreateRuntime: hook("createRuntime"), CreateContainer: hook("createContainer"), //nolint:staticcheck // Docker uses prestart
			StartContainer: inside, Poststop: hook("poststop"),
		}
	})
	require.Zero(t, status)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "prestart\ncreateRuntime\ncreateContainer\nstartContainer\nprogram\npoststop\n", string(text))
	for name, want := range map[string]string{"prestart": "created", "createContainer": "creating", "startContainer": "created", "poststop": "stopped"} {
		var st specs.State
		text, err := os.ReadFile(log + "." + name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &st), string(text))
		require.Equal(t, specs.ContainerState(want), st.Status, name)
		require.Equal(t, want == "stopped", st.Pid == 0, name)
	}
}

// TestAFailingHookEndsTheContainer: runtime-spec runtime.md, lifecycle: the runtime generates an error, stops the container and
// continues with its destruction, of which the poststop hooks are the end.
func TestAFailingHookEndsTheContainer(t *testing.T) {
	fails := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}}}
	for kind, set := range map[string]func(*specs.Hooks){
		"prestart":        func(h *specs.Hooks) { h.Prestart = fails }, //nolint:staticcheck // Docker uses prestart
		"createRuntime":   func(h *specs.Hooks) { h.CreateRuntime = fails },
		"createContainer": func(h *specs.Hooks) { h.CreateContainer = fails },
		"startContainer":  func(h *specs.Hooks) { h.StartContainer = fails },
		"poststart":       func(h *specs.Hooks) { h.Poststart = fails },
	} {
		t.Run(kind, func(t *testing.T) {
			p := newPlace(t)
			last := filepath.Join(t.TempDir(), "poststop")
			bundle := p.bundle(t, "sleep 1000", func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >>" + last}}}}
				set(s.Hooks)
			})
			_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "c", Bundle: bundle})
			if strings.HasPrefix(kind, "create") || kind == "prestart" {
				require.ErrorContains(t, err, "error running "+kind+" hook #0: /bin/sh: exit status 3")
			} else {
				require.NoError(t, err)
				require.ErrorContains(t, p.Start(t.Context(), "c"), "error running "+kind+" hook #0: /bin/sh: exit status 3")
				require.Equal(t, lifecycle.Stopped, p.status(t))
				require.NoFileExists(t, last)
				require.NoError(t, p.Delete(t.Context(), "c", false))
			}
			text, err := os.ReadFile(last)
			require.NoError(t, err)
			require.Contains(t, string(text), `"status":"stopped"`)
			require.Equal(t, 1, strings.Count(string(text), "ociVersion"), "once")
			require.ErrorIs(t, p.Delete(t.Context(), "c", false), state.ErrNotExist)
		})
	}
}
