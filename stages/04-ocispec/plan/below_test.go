package plan_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// TestBelowAJoinedUserNamespace: who may join what decides the order, and what is new is made last.
func TestBelowAJoinedUserNamespace(t *testing.T) {
	const user, net, pid = "join user namespace /u", "join network namespace /n", "join pid namespace /p"
	for name, c := range map[string]struct {
		paths    map[specs.LinuxNamespaceType]string
		rootless bool
		want     []string
	}{
		"new ones belong to it": {
			map[specs.LinuxNamespaceType]string{specs.UserNamespace: "/u"},
			false,
			[]string{"clone3", user, "clone3 mount network uts pid ipc inside the joined user namespace"},
		},
		"root joins what belongs to others first": {
			map[specs.LinuxNamespaceType]string{specs.UserNamespace: "/u", specs.NetworkNamespace: "/n"},
			false,
			[]string{"clone3", net, user, "clone3 mount uts pid ipc inside the joined user namespace"},
		},
		"an ordinary user has no rights outside": {
			map[specs.LinuxNamespaceType]string{specs.UserNamespace: "/u", specs.NetworkNamespace: "/n", specs.PIDNamespace: "/p"},
			true,
			[]string{"clone3", user, net, pid, "clone3 mount uts ipc inside the joined user namespace"},
		},
		"the second clone is a member of the pid namespace": {
			map[specs.LinuxNamespaceType]string{specs.UserNamespace: "/u", specs.PIDNamespace: "/p"},
			false,
			[]string{"clone3", pid, user, "clone3 mount network uts ipc inside the joined user namespace"},
		},
		"without one the thread joins": {
			map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "/n", specs.PIDNamespace: "/p"},
			false,
			[]string{pid, "clone3 mount uts ipc", net},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := load(t, "docker")
			if c.paths[specs.UserNamespace] != "" {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			}
			for i, n := range s.Linux.Namespaces {
				s.Linux.Namespaces[i].Path = c.paths[n.Type]
			}
			facts := v2()
			facts.Rootless = c.rootless
			p, err := plan.Compile(s, facts, plan.Request{ID: "x"}, plan.Acts{})
			require.NoError(t, err)
			var names []string
			for _, s := range p.Steps {
				if strings.HasPrefix(s.Name, "clone3") || strings.HasPrefix(s.Name, "join ") && strings.Contains(s.Name, " namespace /") {
					names = append(names, s.Name)
				}
			}
			require.Equal(t, c.want, names)
		})
	}
}
