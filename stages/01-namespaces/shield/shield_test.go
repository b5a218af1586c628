package shield

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// harm is the variable that makes this program do one harmful thing behind the shield.
const harm = "SHIELD_TEST_HARM"

func TestMain(m *testing.M) {
	if os.Getenv(harm) != "" {
		Main(m)
	}
	os.Exit(m.Run())
}

// TestHarm does what is asked for; without the variable it is no test.
func TestHarm(t *testing.T) {
	switch os.Getenv(harm) {
	case "":
		t.Skip("needs to be started by TestTheShieldHolds")
	case "proc": // the classic: /proc mounted while / is shared
		require.NoError(t, unix.Mount("slipway-harm", "/proc", "tmpfs", 0, ""))
	case "remount":
		require.NoError(t, unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	case "cgroup":
		for _, dir := range trees(t) {
			require.NoError(t, os.Mkdir(dir+"/slipway-test-left", 0o755))
		}
	}
}

// trees is one cgroup hierarchy in which a group can be made.
func trees(t *testing.T) []string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			return []string{dir}
		}
	}
	t.Skip("needs a cgroup hierarchy")
	return nil
}

func run(t *testing.T, what string) (string, int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the shield is for root")
	}
	c := exec.Command("/proc/self/exe", "-test.run", "TestHarm$")
	c.Env = append(os.Environ(), harm+"="+what)
	out, _ := c.CombinedOutput()
	return string(out), c.ProcessState.ExitCode()
}

func TestTheShieldHolds(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for _, what := range []string{"proc", "remount"} {
		out, code := run(t, what)
		require.Zero(t, code, "%s: %s", what, out)
		after, err := os.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), "%s reached the machine", what)
	}
}

func TestALeftoverIsAFailure(t *testing.T) {
	dir := filepath.Join(trees(t)[0], "slipway-test-left")
	t.Cleanup(func() { _ = os.Remove(dir) })
	out, code := run(t, "cgroup")
	require.NotZero(t, code, out)
	require.True(t, strings.Contains(out, "HOST-LEAK  the tests left behind: cgroup "+dir), out)
}
