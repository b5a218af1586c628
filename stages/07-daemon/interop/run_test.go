//go:build interop

package interop

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPull(t *testing.T) {
	i := theWorld.images
	for _, ref := range []string{i.debian, i.redis, i.busybox} {
		docker(t, "rmi", "-f", ref) // an earlier test may have pulled it
		require.Contains(t, must(t, "pull", ref), "Downloaded newer image for "+ref)
		require.Contains(t, must(t, "pull", ref), "Image is up to date for "+ref)
		require.Contains(t, must(t, "images", "--format", "{{.Repository}}:{{.Tag}}"), ref)
	}
}

// TestRootFS: what the three layers make together.
func TestRootFS(t *testing.T) {
	script := `set -e
		. /etc/os-release; echo $ID
		cat /etc/motd
		ls -A /srv/data /srv/opaque | tr '\n' ' '; echo
		stat -c '%h %a %u:%g' /srv/data/b /srv/data/setuid /srv/data/owned
		[ /srv/data/b -ef /srv/data/b-again ] && echo same
		ls -d /usr/share/doc 2>&1 || true
		dpkg --version | head -1`
	got := must(t, "run", "--rm", theWorld.images.debian, "bash", "-c", script)
	require.Equal(t, []string{
		"debian", "second layer", "/srv/data: b b-again owned setuid  /srv/opaque: new ",
		"2 644 0:0", "1 4755 0:0", "1 640 1000:1000", "same", "ls: cannot access '/usr/share/doc': No such file or directory",
	}, strings.Split(got, "\n")[:8])
	require.Contains(t, got, "Debian 'dpkg' package management program")
}

func TestExitCodes(t *testing.T) {
	box := theWorld.images.busybox
	rows := []struct {
		name string
		args []string
		code int
		says string // on the client's standard error
	}{
		{"0", []string{box, "true"}, 0, ""},
		{"7", []string{box, "sh", "-c", "exit 7"}, 7, ""},
		{"killed by itself", []string{box, "sh", "-c", "kill -9 $$; sleep 5"}, 0, ""}, // process 1 of a namespace is immune to itself
		{"137", []string{"--init", box, "sh", "-c", "kill -9 $$"}, 137, ""},
		{"143", []string{"--init", box, "sh", "-c", "kill -TERM $$"}, 143, ""},
		{"125 of the client", []string{"--no-such-flag", box}, 125, "unknown flag: --no-such-flag"},
		{"125 of the daemon", []string{"--memory", "1k", box, "true"}, 125, "inimum memory limit"},
		{"126", []string{box, "/etc/passwd"}, 126, "permission denied"},
		{"126 of a directory", []string{box, "/etc"}, 126, ""},
		{"127", []string{box, "no-such-program"}, 127, "no-such-program"},
		{"127 of a path", []string{box, "/no/such"}, 127, "/no/such"},
		{"127 under --init", []string{"--init", box, "no-such-program"}, 127, "no-such-program"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := docker(t, append([]string{"run", "--rm"}, row.args...)...)
			require.Equal(t, row.code, r.code, r.String())
			require.Contains(t, r.err, row.says)
			if row.says == "" && row.code < 125 {
				require.Empty(t, r.err)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	box := theWorld.images.busybox
	r := docker(t, "run", "--rm", box, "sh", "-c", "echo out; echo err >&2")
	require.Equal(t, "out\n", r.out)
	require.Equal(t, "err\n", r.err)
	big := strings.Repeat("0123456789abcdef\n", 1<<16)
	r = dockerIn(t, strings.NewReader(big), "run", "--rm", "-i", box, "cat")
	require.Zero(t, r.code, r.err)
	require.True(t, r.out == big, "%d bytes in, %d bytes out", len(big), len(r.out))
	r = dockerIn(t, strings.NewReader("one\ntwo\n"), "run", "--rm", "-i", box, "sh", "-c", "read a; echo $a; exit 3")
	require.Equal(t, result{r.args, "one\n", "", 3}, r)
}
