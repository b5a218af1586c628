package engine

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/require"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

func TestReconcile(t *testing.T) {
	always := container.RestartPolicy{Name: "always"}
	unless := container.RestartPolicy{Name: "unless-stopped"}
	exit := manager.Exit{Code: 7}
	for name, row := range map[string]struct {
		want Want
		have *manager.Task
		plan []Action
	}{
		"runs":                  {Want{Wanted: true, Ran: true}, &manager.Task{Running: true}, []Action{{Verb: Adopt}}},
		"runs, unwanted":        {Want{Ran: true, StoppedByUser: true}, &manager.Task{Running: true}, []Action{{Verb: Adopt}}},
		"ended unseen":          {Want{Wanted: true, Ran: true}, &manager.Task{Exit: exit}, []Action{{Verb: Bury, Exit: exit}}},
		"made, never started":   {Want{Wanted: true}, &manager.Task{Running: true, Created: true}, []Action{{Verb: Discard}}},
		"booted":                {Want{Wanted: true, Ran: true}, nil, []Action{{Verb: Lost}}},
		"booted, always":        {Want{Wanted: true, Ran: true, Policy: always}, nil, []Action{{Verb: Lost}, {Verb: Raise}}},
		"booted, --rm":          {Want{Wanted: true, Ran: true, AutoRemove: true}, nil, []Action{{Verb: Lost}, {Verb: Remove}}},
		"stopped, always":       {Want{Ran: true, StoppedByUser: true, Policy: always}, nil, []Action{{Verb: Raise}}},
		"stopped, unless":       {Want{Ran: true, StoppedByUser: true, Policy: unless}, nil, nil},
		"stopped":               {Want{Ran: true, StoppedByUser: true}, nil, nil},
		"--rm, removal cut off": {Want{Ran: true, AutoRemove: true}, nil, []Action{{Verb: Remove}}},
		"--rm, never started":   {Want{AutoRemove: true}, nil, nil},
		"created, always":       {Want{Policy: always}, nil, nil},
		"failed out of retries": {
			Want{Ran: true, Restarts: 3, LastCode: 1, Policy: container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			row.want.ID = "a"
			var have []manager.Task
			if row.have != nil {
				row.have.ID = "a"
				have = append(have, *row.have)
			}
			for i := range row.plan {
				row.plan[i].ID = "a"
			}
			got, err := Reconcile([]Want{row.want}, have, func(string) bool { return false })
			require.NoError(t, err)
			require.Equal(t, row.plan, got)
		})
	}
	t.Run("a stranger's task is ended, a damaged record's is not", func(t *testing.T) {
		have := []manager.Task{{ID: "stranger", Running: true}, {ID: "damaged", Running: true}}
		got, err := Reconcile(nil, have, func(id string) bool { return id == "damaged" })
		require.NoError(t, err)
		require.Equal(t, []Action{{Verb: Kill, ID: "stranger"}}, got)
	})
}

func TestStatus(t *testing.T) {
	for want, f := range map[container.ContainerState]Facts{
		container.StateCreated: {}, container.StateRunning: {Task: true, Ended: true}, container.StatePaused: {Task: true, Paused: true},
		container.StateRestarting: {Restarting: true, Ended: true}, container.StateExited: {Ended: true},
		container.StateRemoving: {Removing: true, Task: true},
	} {
		require.Equal(t, want, Status(f))
	}
}

func TestParseBind(t *testing.T) {
	for text, want := range map[string]MountPoint{
		"/a:/b":             {Type: mount.TypeBind, Source: "/a", Destination: "/b"},
		"/a:/b/../c:ro":     {Type: mount.TypeBind, Source: "/a", Destination: "/c", ReadOnly: true, Mode: "ro"},
		"data:/b:nocopy,ro": {Type: mount.TypeVolume, Name: "data", Destination: "/b", ReadOnly: true, Mode: "nocopy,ro"},
		"/a:/b:rshared":     {Type: mount.TypeBind, Source: "/a", Destination: "/b", Propagation: "rshared", Mode: "rshared"},
	} {
		got, err := ParseBind(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "/a", ":/b", "/a:b", "/a:/", "/a:/b:what", "a:b:c:d"} {
		_, err := ParseBind(text)
		require.Error(t, err, text)
	}
}

func TestMerge(t *testing.T) {
	img := dockerspec.DockerOCIImageConfig{}
	img.Entrypoint, img.Cmd, img.Env, img.User, img.WorkingDir = []string{"/entry"}, []string{"arg"}, []string{"A=1", "B=2"}, "app", "/srv"
	for name, row := range map[string]struct {
		user            container.Config
		entrypoint, cmd []string
	}{
		"nothing":       {container.Config{}, []string{"/entry"}, []string{"arg"}},
		"a command":     {container.Config{Cmd: []string{"x"}}, []string{"/entry"}, []string{"x"}},
		"an entrypoint": {container.Config{Entrypoint: []string{"/e"}}, []string{"/e"}, nil},
		"no entrypoint": {container.Config{Entrypoint: []string{""}, Cmd: []string{"x"}}, nil, []string{"x"}},
		"both":          {container.Config{Entrypoint: []string{"/e"}, Cmd: []string{"x"}}, []string{"/e"}, []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Merge(row.user, img)
			require.Equal(t, row.entrypoint, got.Entrypoint)
			require.Equal(t, row.cmd, got.Cmd)
		})
	}
	got := Merge(container.Config{Env: []string{"B=3"}, User: "0"}, img)
	require.Equal(t, []string{"A=1", "B=3"}, got.Env)
	require.Equal(t, "0", got.User)
	require.Equal(t, "/srv", got.WorkingDir)
}

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]int{"9": 9, "KILL": 9, "sigterm": 15, "SIGRTMIN+3": 37, "RTMAX-1": 63} {
		got, err := ParseSignal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"0", "65", "-1", "SIGNOT", "RTMIN+99", ""} {
		_, err := ParseSignal(text)
		require.Error(t, err, text)
	}
}

func TestParsePs(t *testing.T) {
	titles, rows, err := parsePs("UID  PID CMD\nroot  1 /sbin/init x\nroot 22 sleep 10 20\n", []int{22})
	require.NoError(t, err)
	require.Equal(t, []string{"UID", "PID", "CMD"}, titles)
	require.Equal(t, [][]string{{"root", "22", "sleep 10 20"}}, rows)
	_, _, err = parsePs("CMD\n", nil)
	require.Error(t, err)
}

func TestBackoff(t *testing.T) {
	c := &Container{}
	for _, want := range []int{100, 200, 400} {
		require.EqualValues(t, want, c.nextBackoff(0).Milliseconds())
	}
	require.EqualValues(t, 100, c.nextBackoff(stableAfter).Milliseconds())
	for range 20 {
		c.nextBackoff(0)
	}
	require.Equal(t, lastBackoff, c.nextBackoff(0))
}

func FuzzParseBind(f *testing.F) {
	f.Add("/a:/b:ro,z")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = ParseBind(text); _, _ = ParseSignal(text) })
}
