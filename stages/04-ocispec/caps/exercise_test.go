package caps_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
)

// TestCapabilities is the exercise oci.capabilities.
func TestCapabilities(t *testing.T) {
	const chown, kill, raw, resource = caps.Mask(1), caps.Mask(1 << 5), caps.Mask(1 << 13), caps.Mask(1 << 24)
	_, _, err := caps.Limit(caps.Sets{}, 0)
	teach.Begun(t, err)
	const title = "no container gets what its runtime lacks"
	const read = "docs/04-ocispec.md#capabilities    man 7 capabilities, man 2 capset"
	fail := func(code, did, saw, want, means, try string) {
		teach.Fail(t, teach.Diagnosis{Exercise: "oci.capabilities", Code: code, Title: title, Did: did, Saw: saw, Want: want, Means: means, Try: try, Read: read})
	}
	got, missing, err := caps.Limit(caps.Sets{Bounding: chown | resource, Permitted: chown | resource, Effective: chown | resource, Inheritable: resource}, chown|kill)
	require.NoError(t, err)
	if (got.Bounding|got.Permitted|got.Effective|got.Inheritable)&resource != 0 || missing != resource {
		fail("OCI-CAP-1", "asked for CHOWN and SYS_RESOURCE in a process whose bounding set is CHOWN and KILL",
			fmt.Sprintf("permitted: %v; said to be missing: %v", got.Permitted, missing), "CAP_CHOWN alone; missing: CAP_SYS_RESOURCE",
			"capset(2) would answer EPERM, and the container would not start at all: a capability that has left the bounding set comes back to nobody below. Many machines run their engines without some of them. Give what there is, and say what is not.",
			"grep CapBnd /proc/self/status, then capsh --decode of it")
	}
	got, _, err = caps.Limit(caps.Sets{Bounding: chown | kill, Permitted: chown, Effective: chown | kill}, chown|kill)
	require.NoError(t, err)
	if got.Effective&^got.Permitted != 0 {
		fail("OCI-CAP-2", "asked for CHOWN permitted, and CHOWN and KILL effective",
			fmt.Sprintf("effective: %v; permitted: %v", got.Effective, got.Permitted), "effective: CAP_CHOWN",
			"effective is what the kernel checks now, permitted is what may be made effective: the first is a subset of the second, and capset(2) answers EPERM otherwise.",
			"man 2 capset, the paragraph about permitted")
	}
	got, _, err = caps.Limit(caps.Sets{Bounding: kill | raw, Permitted: kill | raw, Inheritable: raw, Ambient: kill | raw}, kill|raw)
	require.NoError(t, err)
	if got.Ambient&kill != 0 {
		fail("OCI-CAP-3", "asked for KILL and NET_RAW ambient, where only NET_RAW is inheritable",
			fmt.Sprintf("ambient: %v", got.Ambient), "ambient: CAP_NET_RAW",
			"an ambient capability survives the execve of an ordinary program. The kernel raises one only if it is permitted and inheritable at the same time; prctl(2) answers EPERM otherwise.",
			"man 2 prctl, PR_CAP_AMBIENT_RAISE")
	}
	TestLimit(t)
}
