package shield

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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

// slop is how many threads may have taken a number before the tests do.
const slop = 64

// harms are what a learner's solution may do to the machine by mistake.
func harms() map[string]func(t *testing.T) {
	return map[string]func(*testing.T){
		"none": func(t *testing.T) {
			require.Equal(t, 1, os.Getppid())
			fmt.Printf("the tests are process %d\n", os.Getpid())
		},
		// The classic: /proc mounted for a container while / is shared.
		"proc": func(t *testing.T) { require.NoError(t, unix.Mount("slipway-harm", "/proc", "tmpfs", 0, "")) },
		"remount": func(t *testing.T) {
			require.NoError(t, unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		},
		"unmount":  func(t *testing.T) { require.NoError(t, unix.Unmount("/dev/shm", unix.MNT_DETACH)) },
		"hostname": func(t *testing.T) { require.NoError(t, unix.Sethostname([]byte("slipway-harm"))) },
		"cgroup":   func(t *testing.T) { require.NoError(t, os.Mkdir(group(t), 0o755)) },
		"kill":     func(t *testing.T) { require.NoError(t, unix.Kill(-1, unix.SIGKILL)) },
		"kill own group": func(t *testing.T) {
			require.NoError(t, exec.Command("sh", "-c", "kill -TERM 0").Start())
			time.Sleep(time.Minute) // it comes before that
		},
		"process": func(t *testing.T) {
			c := exec.Command("sleep", "1234")
			c.SysProcAttr = &unix.SysProcAttr{Setsid: true}
			require.NoError(t, c.Start())
		},
		"nft":   func(t *testing.T) { call(t, "nft", "add", "table", "inet", "slipt_left") },
		"netns": func(t *testing.T) { call(t, "ip", "netns", "add", "slipt-left") },
		"link":  func(t *testing.T) { call(t, "ip", "link", "add", "slipt0", "type", "veth", "peer", "name", "slipt1") },
	}
}

// TestHarm does what is asked for; without the variable it is no test.
func TestHarm(t *testing.T) {
	what := os.Getenv(harm)
	if what == "" {
		t.Skip("needs to be started by TestTheShieldHolds")
	}
	harms()[what](t)
}

func call(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// group is where a test could make one, in one hierarchy.
func group(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			return dir + "/slipway-test-left"
		}
	}
	t.Skip("needs a cgroup hierarchy")
	return ""
}

func run(t *testing.T, what string) (string, int) {
	t.Helper()
	c := exec.Command("/proc/self/exe", "-test.run", "TestHarm$")
	c.Env = append(os.Environ(), harm+"="+what)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	if _, text, ok := strings.Cut(string(out), "the tests are process "); ok {
		var n int
		_, err := fmt.Sscan(text, &n)
		require.NoError(t, err)
		first := c.ProcessState.Pid()
		if _, err := os.Stat("/proc/sys/kernel/ns_last_pid"); err != nil { // it needs CONFIG_CHECKPOINT_RESTORE
			first = 0
		}
		require.InDelta(t, first+slop/2, n, slop/2, "right behind the starter's number")
	}
	return string(out), c.ProcessState.ExitCode()
}

// TestTheShieldHolds: each harm is kept from the machine, and told to the learner in the words of testdata/HARM.golden
// (UPDATE_GOLDEN=1 writes them).
func TestTheShieldHolds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the shield is for root")
	}
	name, err := os.Hostname()
	require.NoError(t, err)
	bystander := exec.Command("sleep", "100")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })
	before := outside(0, 0)
	programs := map[string]string{"nft": "nft", "netns": "ip", "link": "ip"}
	for what := range harms() {
		t.Run(what, func(t *testing.T) {
			if p := programs[what]; p != "" {
				if _, err := exec.LookPath(p); err != nil {
					t.Skip("needs " + p)
				}
			}
			if what == "nft" && exec.Command("unshare", "-n", "nft", "add", "table", "inet", "slipt_probe").Run() != nil {
				t.Skip("needs nf_tables in the kernel")
			}
			if what == "cgroup" {
				dir := group(t)
				t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
			}
			out, code := run(t, what)
			told(t, what, out)
			require.Equal(t, what == "none", code == 0, out)
			if what != "cgroup" {
				require.Empty(t, settled(before, -1, 0), "it reached the machine")
			}
			require.NoFileExists(t, "/run/netns/slipt-left")
			now, err := os.Hostname()
			require.NoError(t, err)
			require.Equal(t, name, now)
			require.NoError(t, bystander.Process.Signal(unix.Signal(0)))
			require.Empty(t, left(t, "sleep\x001234\x00"), "nobody of the tests is left")
		})
	}
}

// left finds processes of this machine by their command line.
func left(t *testing.T, command string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && string(b) == command {
			found = append(found, f)
		}
	}
	return found
}

var (
	named   = regexp.MustCompile(`gone: hostname .*`)
	number  = regexp.MustCompile(`process \d+`)
	timing  = regexp.MustCompile(`\(\d+\.\d+s\)`)
	options = regexp.MustCompile(`\((ro|rw)[^;)]*(; r[ow])?\)`)
	dirs    = regexp.MustCompile(`/sys/fs/cgroup/(pids/)?`)
	fstype  = regexp.MustCompile(`mount \S+ on /(run/netns|dev/shm)? `)
)

// told compares the explanation with the golden text. What differs between machines is taken out of both.
func told(t *testing.T, what, out string) {
	t.Helper()
	_, text, _ := strings.Cut(out, "NOT YET RIGHT")
	text = number.ReplaceAllString(text, "process N")
	text = options.ReplaceAllString(text, "($1)")
	text = dirs.ReplaceAllString(text, "/sys/fs/cgroup/")
	text = fstype.ReplaceAllString(text, "mount FS on /$1 ")
	text = named.ReplaceAllString(text, "gone: hostname HOST")
	text = timing.ReplaceAllString(text, "")
	file := filepath.Join("testdata", strings.ReplaceAll(what, " ", "-")+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text, out)
	require.LessOrEqual(t, strings.Count(text, "\n"), 25)
}

func TestWhoseCgroup(t *testing.T) {
	for name, want := range map[string]bool{
		"/slipway-test-1002": false, "/slipway-test-999": true, "/slipway-test-1003": true, "/slipway-test-2000/001Test1002": true,
		"/slipway-test-2000/t-1002": true, "/slipway-test-left": false, "/slipway/test-1002-1763000000000000000": false,
	} {
		require.Equal(t, want, anothers(name, 1002), name)
	}
}

func TestPrints(t *testing.T) {
	p := Print{}
	require.Equal(t, []string{"b", "c", "gone: link a"}, Print{"link a": 1}.Left(Print{"b": 1, "c": 1}))
	gone := Print{"mount x on /no/such\\040place (rw; rw)": 2, "namespace kept at /no/such": 1}
	require.Equal(t, gone, Print{"mount x on / (rw; rw)": 1, "hostname x": 1}.and(gone).removed(), "their directory was removed")
	require.Empty(t, Print{"cgroup a": 1}.Left(p), "a group that somebody else has removed")
	require.Equal(t, []string{"x"}, Print{"x": 1}.Left(Print{"x": 2}), "a second mount on the same place")
}
