package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
)

// law is one thing that must come before another, and what happens if it does not.
type law struct {
	first, then string // the beginnings of two steps' names
	code        string
	means, try  string
}

func laws() []law {
	return []law{
		{
			"listen on the start gate", "clone3", "OCI-PLAN-4",
			"what the child is to have open has to be open when it is born: it gets copies of our descriptors at clone3, and nothing later. The gate's socket, the cgroup's files and the namespaces to join are opened by the parts that stand before the birth.",
			"slipway-runtime explain BUNDLE | head: the parent's steps before clone3",
		},
		{
			"set the hostname", "pivot_root", "OCI-PLAN-1",
			"settings are written through the host's procfs, whose name is known only until the root is switched. Behind that, /proc is what the image's mounts say: read-only in parts, masked, and perhaps a trap (CVE-2025-52881).",
			"in a container: echo 1 > /proc/sys/net/ipv4/ip_forward",
		},
		{
			"unmount the old root", "find the program", "OCI-PLAN-2",
			"the program is a path of the image. Looked for before the switch, it is looked for on the host: create says that all is well because the host has a sh, or that a program is missing which the image has. The working directory would be one of the host's (CVE-2024-21626).",
			"slipway-runtime explain BUNDLE | grep -nE 'pivot_root|find the program'",
		},
		{
			"find the program", "record the state: created", "OCI-PLAN-3",
			"the record is what create promises: everything is ready, only start is missing. Written any earlier it is a promise that a later step can break, and whoever looks sees a container \"created\" that is none.",
			"slipway-runtime create of a program that does not exist, then slipway-runtime list",
		},
	}
}

// TestPlanOrder is the exercise oci.plan: it reads the list, and runs nothing.
func TestPlanOrder(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "docker.json"))
	require.NoError(t, err)
	config := new(specs.Spec)
	require.NoError(t, json.Unmarshal(text, config)) // not by the package that has an exercise of its own
	p, err := plan.UntilCreated(config, v1(), plan.Request{ID: "x"})
	teach.Begun(t, err)
	require.NoError(t, err)
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
	}
	for _, l := range laws() {
		first, then := at(names, l.first), at(names, l.then)
		require.GreaterOrEqual(t, first, 0, "no step %q among\n%s", l.first, strings.Join(names, "\n"))
		require.GreaterOrEqual(t, then, 0, "no step %q among\n%s", l.then, strings.Join(names, "\n"))
		if first < then {
			continue
		}
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.plan", Code: l.code, Title: "config.json becomes a list whose order is safe",
			Did:   "compiled Docker's config.json and read the list; nothing was run",
			Saw:   fmt.Sprintf("step %d  %s\nstep %d  %s", then+1, names[then], first+1, names[first]),
			Want:  fmt.Sprintf("%q stands before %q", l.first, l.then),
			Means: l.means, Try: l.try, Read: "docs/04-ocispec.md#compile    runtime-spec runtime.md, Lifecycle",
		})
	}
	require.True(t, p.Steps[len(p.Steps)-1].Returns, "create returns at the last of these steps")
}

// at is the place of the step whose name begins so, or -1.
func at(names []string, prefix string) int {
	return slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, prefix) })
}
