package runtime_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
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
