//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLife: run -d, logs -f, exec -it, stop, ps -a, rm.
func TestLife(t *testing.T) {
	n := name(t, "")
	script := `trap 'echo bye; exit 4' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done`
	id := must(t, "run", "-d", "--name", n, theWorld.images.busybox, "sh", "-c", script)
	require.Regexp(t, `^[0-9a-f]{64}$`, id)
	_, logs := background(t, "logs", "-f", n)
	for i := range 5 {
		require.Equal(t, fmt.Sprint("line ", i), logs.next(t, 10*time.Second))
	}
	x := newTerminal(t, "exec", "-it", "-e", "MARK=exec", n, "sh")
	x.expect(`# `)
	x.say("echo $MARK $(cat /proc/1/comm) pid $$; tty\n")
	x.expect(`\nexec sh pid \d+`)
	x.expect(`/dev/pts/\d`)
	x.say("exit 9\n")
	require.Equal(t, 9, x.wait())
	require.Equal(t, "3", must(t, "exec", n, "sh", "-c", "echo $((1+2))"))
	require.Equal(t, 7, docker(t, "exec", n, "sh", "-c", "exit 7").code)
	require.Contains(t, must(t, "top", n), script[:20])
	require.Regexp(t, `^Up `, must(t, "ps", "--filter", "name="+n, "--format", "{{.Status}}"))

	start := time.Now()
	require.Equal(t, n, must(t, "stop", n))
	require.Less(t, time.Since(start), 8*time.Second, "TERM was not passed on, KILL ended it")
	for line := ""; line != "bye"; {
		line = logs.next(t, 10*time.Second)
	}
	require.Equal(t, "4", must(t, "wait", n))
	require.Regexp(t, `^Exited \(4\) `, must(t, "ps", "-a", "--filter", "name="+n, "--format", "{{.Status}}"))
	require.NotContains(t, must(t, "ps", "--format", "{{.Names}}"), n)
	all := strings.Split(must(t, "logs", n), "\n")
	require.Equal(t, "bye", all[len(all)-1])
	for i, line := range all[:len(all)-1] {
		require.Equal(t, fmt.Sprint("line ", i), line)
	}
	require.Equal(t, all[len(all)-2:], strings.Split(must(t, "logs", "--tail", "2", n), "\n"))
	require.Equal(t, n, must(t, "start", n))
	require.Equal(t, "true", must(t, "inspect", "-f", "{{.State.Running}}", n))
	require.Equal(t, n, must(t, "kill", n))
	require.Equal(t, "137", must(t, "wait", n))
	require.Equal(t, n, must(t, "rm", n))
	gone := docker(t, "inspect", n)
	require.Equal(t, 1, gone.code)
	require.Contains(t, strings.ToLower(gone.err), "no such object: "+n)
}

func TestExecOfNothing(t *testing.T) {
	n := name(t, "")
	must(t, "run", "-d", "--name", n, theWorld.images.busybox, "sleep", "100")
	missing := docker(t, "exec", n, "no-such-program")
	require.Contains(t, []int{126, 127}, missing.code, missing.String()) // dockerd said 126 before 23.0
	require.Contains(t, missing.out+missing.err, "no-such-program")
	must(t, "stop", "-t", "0", n)
	stopped := docker(t, "exec", n, "true")
	require.Equal(t, 1, stopped.code)
	require.Contains(t, stopped.err, "is not running")
}

func TestInspect(t *testing.T) {
	n := name(t, "")
	id := must(t, "run", "-d", "--name", n, "--hostname", "web", "-e", "A=b", "-p", "8099:80", "--label", "k=v", theWorld.images.busybox, "sleep", "100")
	var list []struct {
		ID, Name, Path string `json:",omitempty"`
		Args           []string
		State          struct {
			Status  string
			Running bool
			Pid     int
		}
		Config struct {
			Hostname string
			Env, Cmd []string
			Image    string
			Labels   map[string]string
		}
		HostConfig      struct{ NetworkMode string }
		NetworkSettings struct {
			IPAddress, Gateway, MacAddress string
			Ports                          map[string][]map[string]string
			Networks                       map[string]struct{ IPAddress string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(must(t, "inspect", n)), &list))
	require.Len(t, list, 1)
	c := list[0]
	require.Equal(t, id, c.ID)
	require.Equal(t, "/"+n, c.Name)
	require.Equal(t, "sleep [100]", fmt.Sprint(c.Path, " ", c.Args))
	require.Equal(t, "running", c.State.Status)
	require.Positive(t, c.State.Pid)
	require.Equal(t, "web", c.Config.Hostname)
	require.Contains(t, c.Config.Env, "A=b")
	require.Equal(t, theWorld.images.busybox, c.Config.Image)
	require.Equal(t, "v", c.Config.Labels["k"])
	require.Equal(t, c.NetworkSettings.IPAddress, c.NetworkSettings.Networks["bridge"].IPAddress)
	require.Regexp(t, `^172\.\d+\.\d+\.\d+$`, c.NetworkSettings.IPAddress)
	require.Equal(t, "8099", c.NetworkSettings.Ports["80/tcp"][0]["HostPort"])
	require.Equal(t, "0.0.0.0", c.NetworkSettings.Ports["80/tcp"][0]["HostIp"])
}

func TestEvents(t *testing.T) {
	n := name(t, "")
	_, events := background(t, "events", "--filter", "type=container", "--filter", "container="+n, "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}")
	time.Sleep(time.Second) // the stream has no sign that it listens
	must(t, "run", "--name", n, theWorld.images.busybox, "true")
	must(t, "rm", n)
	want := map[string]bool{"create": true, "start": true, "die 0": true, "destroy": true}
	var order []string
	for len(want) > 0 {
		e := strings.TrimSpace(strings.ReplaceAll(events.next(t, 10*time.Second), "<no value>", ""))
		if want[e] {
			order = append(order, e)
			delete(want, e)
		}
	}
	require.Equal(t, []string{"create", "start", "die 0", "destroy"}, order)
	require.NoError(t, eventually(5*time.Second, func() error { // --until now has whole seconds
		past := must(t, "events", "--since", "1m", "--until", "0s", "--filter", "container="+n, "--format", "{{.Action}}")
		if !strings.Contains(past, "die") || !strings.Contains(past, "destroy") {
			return fmt.Errorf("past events are %q", past)
		}
		return nil
	}))
}
