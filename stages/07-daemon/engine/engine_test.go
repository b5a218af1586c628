package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/enginetest"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

func create(t *testing.T, e *engine.Engine, name string, edit func(*engine.CreateRequest)) string {
	t.Helper()
	req := engine.CreateRequest{Name: name, Config: container.Config{Image: "busybox"}}
	if edit != nil {
		edit(&req)
	}
	id, _, err := e.Create(t.Context(), req)
	require.NoError(t, err)
	return id
}

func status(t *testing.T, e *engine.Engine, ref string) container.ContainerState {
	t.Helper()
	c, err := e.Get(ref)
	require.NoError(t, err)
	return c.View().Status
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 5*time.Second, time.Millisecond)
}

func TestLifeOfAContainer(t *testing.T) {
	w := enginetest.NewWorld(t)
	e := w.Engine(t)
	_, live := e.Events.Listen(time.Time{})
	defer live.Close()
	id := create(t, e, "web", nil)
	require.Equal(t, container.StateCreated, status(t, e, "web"))
	require.NoError(t, e.Start(t.Context(), "web"))
	require.Equal(t, 304, fault.Status(e.Start(t.Context(), id[:6])), "a prefix finds it, and it runs already")
	require.Equal(t, container.StateRunning, status(t, e, id))
	require.Equal(t, 1, w.Network.Count())

	require.NoError(t, e.Pause(t.Context(), id))
	require.Equal(t, container.StatePaused, status(t, e, id))
	require.Equal(t, 409, fault.Status(e.Pause(t.Context(), id)))
	require.NoError(t, e.Unpause(t.Context(), id))

	wait, err := e.Wait("web", container.WaitConditionNotRunning)
	require.NoError(t, err)
	require.Equal(t, 409, fault.Status(e.Remove(t.Context(), "web", engine.RemoveOptions{})))
	w.Manager.End(id, 7)
	ended, err := wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, ended.Code)
	require.Equal(t, container.StateExited, status(t, e, id))
	require.Zero(t, w.Network.Count(), "a stopped container keeps no address")

	removed, err := e.Wait("web", container.WaitConditionRemoved)
	require.NoError(t, err)
	require.NoError(t, e.Remove(t.Context(), "web", engine.RemoveOptions{}))
	_, err = removed(t.Context())
	require.NoError(t, err)
	_, err = e.Get(id)
	require.EqualError(t, err, "No such container: "+id)
	keys, err := w.Manager.OwnedSnapshots(t.Context())
	require.NoError(t, err)
	require.Empty(t, keys)

	var seen []string
	for len(live.C) > 0 {
		m := <-live.C
		seen = append(seen, string(m.Action))
	}
	require.Equal(t, []string{"create", "start", "pause", "unpause", "die", "destroy"}, seen)
}

func TestNames(t *testing.T) {
	e := enginetest.NewWorld(t).Engine(t)
	id := create(t, e, "web", nil)
	_, _, err := e.Create(t.Context(), engine.CreateRequest{Name: "/web", Config: container.Config{Image: "busybox"}})
	require.EqualError(t, err, `Conflict. The container name "/web" is already in use by container "`+id+
		`". You have to remove (or rename) that container to be able to reuse that name.`)
	require.Equal(t, 409, fault.Status(err))
	_, _, err = e.Create(t.Context(), engine.CreateRequest{Name: "../x", Config: container.Config{Image: "busybox"}})
	require.Equal(t, 400, fault.Status(err))
	require.NoError(t, e.Rename(t.Context(), "web", "db"))
	create(t, e, "web", nil)
	_, err = e.Get("db")
	require.NoError(t, err)
	chosen, err := e.Get(create(t, e, "", nil))
	require.NoError(t, err)
	require.Regexp(t, `^[a-z]+_[a-z]+$`, chosen.View().Name)
}

func TestCreateRefuses(t *testing.T) {
	e := enginetest.NewWorld(t).Engine(t)
	for name, row := range map[string]struct {
		edit   func(*engine.CreateRequest)
		status int
		text   string
	}{
		"unknown image":   {func(r *engine.CreateRequest) { r.Config.Image = "nix" }, 404, "No such image: nix:latest"},
		"reserved label":  {func(r *engine.CreateRequest) { r.Config.Labels = map[string]string{"io.slipway.x": ""} }, 400, "reserved"},
		"unknown runtime": {func(r *engine.CreateRequest) { r.HostConfig.Runtime = "kata" }, 400, "unknown or invalid runtime name: kata"},
		"unknown network": {func(r *engine.CreateRequest) { r.HostConfig.NetworkMode = "front" }, 404, "network front not found"},
		"restart and rm": {func(r *engine.CreateRequest) {
			r.HostConfig.AutoRemove = true
			r.HostConfig.RestartPolicy.Name = "always"
		}, 400, "AutoRemove"},
		"too little memory": {func(r *engine.CreateRequest) { r.HostConfig.Memory = 1024 }, 400, "Minimum memory limit allowed is 6MB"},
		"too many CPUs":     {func(r *engine.CreateRequest) { r.HostConfig.NanoCPUs = 3e9 }, 400, "only 2 CPUs available"},
		"bad bind":          {func(r *engine.CreateRequest) { r.HostConfig.Binds = []string{"/a:b"} }, 400, "mount path must be absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			req := engine.CreateRequest{Name: "xx", Config: container.Config{Image: "busybox"}}
			row.edit(&req)
			_, _, err := e.Create(t.Context(), req)
			require.ErrorContains(t, err, row.text)
			require.Equal(t, row.status, fault.Status(err))
			require.Empty(t, e.All())
		})
	}
	create(t, e, "xx", nil) // the name was not lost
}

func TestImagesDoNotControlTheEngine(t *testing.T) {
	w := enginetest.NewWorld(t)
	e := w.Engine(t)
	c, err := e.Get(create(t, e, "web", nil))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"vendor": "us"}, c.View().Config.Labels)
	require.NoError(t, e.Start(t.Context(), "web"))
	require.Empty(t, w.Manager.Launches[0].Spec.Annotations, "labels are not annotations (CVE-2026-53488)")
}

func TestFailedStart(t *testing.T) {
	for name, row := range map[string]struct {
		cause        string
		status, code int
	}{
		"missing program": {`exec: "x": executable file not found in $PATH`, 400, 127},
		"not executable":  {`exec: "/etc": permission denied`, 400, 126},
		"something else":  {"cgroup: device or resource busy", 500, 128},
	} {
		t.Run(name, func(t *testing.T) {
			w := enginetest.NewWorld(t)
			e := w.Engine(t)
			w.Manager.FailStart = errors.New(row.cause)
			create(t, e, "web", nil)
			err := e.Start(t.Context(), "web")
			require.ErrorContains(t, err, row.cause)
			require.Equal(t, row.status, fault.Status(err))
			c, _ := e.Get("web")
			v := c.View()
			require.Equal(t, container.StateCreated, v.Status)
			require.Equal(t, row.code, v.Last.Code)
			require.Zero(t, w.Network.Count())
			tasks, _ := w.Manager.ListTasks(t.Context())
			require.Empty(t, tasks, "nothing of the attempt is left")

			create(t, e, "once", func(r *engine.CreateRequest) { r.HostConfig.AutoRemove = true })
			require.Error(t, e.Start(t.Context(), "once"))
			eventually(t, func() bool { _, err := e.Get("once"); return err != nil })
		})
	}
}

func TestRestartPolicy(t *testing.T) {
	w := enginetest.NewWorld(t)
	e := w.Engine(t)
	id := create(t, e, "web", func(r *engine.CreateRequest) {
		r.HostConfig.RestartPolicy = container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 1}
	})
	require.NoError(t, e.Start(t.Context(), id))
	w.Manager.End(id, 1)
	eventually(t, func() bool { return status(t, e, id) == container.StateRestarting })
	eventually(t, func() bool { return status(t, e, id) == container.StateRunning })
	w.Manager.End(id, 1)
	eventually(t, func() bool { return status(t, e, id) == container.StateExited })
	time.Sleep(10 * time.Millisecond)
	require.Equal(t, container.StateExited, status(t, e, id), "once was enough")

	always := create(t, e, "always", func(r *engine.CreateRequest) { r.HostConfig.RestartPolicy.Name = "always" })
	require.NoError(t, e.Start(t.Context(), always))
	require.NoError(t, e.Stop(t.Context(), always, engine.StopOptions{}))
	require.Equal(t, container.StateExited, status(t, e, always), "a stop by the user is the last word")
}

// One container whose kill fails holds up nobody else.
func TestAStuckContainerHoldsUpNobody(t *testing.T) {
	w := enginetest.NewWorld(t)
	e := w.Engine(t)
	stuck := create(t, e, "stuck", nil)
	other := create(t, e, "other", nil)
	require.NoError(t, e.Start(t.Context(), stuck))
	forever := -1
	go func() { _ = e.Stop(t.Context(), stuck, engine.StopOptions{Signal: "USR1", Timeout: &forever}) }()
	eventually(t, func() bool {
		return slices.ContainsFunc(e.Jobs.List(), func(j engine.Job) bool { return j.Name == "stop" && j.Status == "running" })
	})
	require.NoError(t, e.Start(t.Context(), other))
	require.Equal(t, container.StateRunning, status(t, e, stuck), "looking does not wait for doing")
	require.NoError(t, e.Remove(t.Context(), other, engine.RemoveOptions{Force: true}))
	w.Manager.End(stuck, 0)
}

// The daemon dies and comes back: each container is in the state it should be in, with the right exit code.
func TestRestore(t *testing.T) {
	w := enginetest.NewWorld(t)
	first := w.Engine(t)
	ids := map[string]string{}
	for _, name := range []string{"runs", "ended", "lost", "once", "phoenix", "stopped", "idle"} {
		ids[name] = create(t, first, name, func(r *engine.CreateRequest) {
			r.HostConfig.AutoRemove = name == "once"
			if name == "phoenix" {
				r.HostConfig.RestartPolicy.Name = "unless-stopped"
			}
		})
		if name != "idle" {
			require.NoError(t, first.Start(t.Context(), name))
		}
	}
	require.NoError(t, first.Stop(t.Context(), "stopped", engine.StopOptions{}))
	damaged := create(t, first, "damaged", nil)
	require.NoError(t, first.Start(t.Context(), damaged))
	first.Close()
	w.Manager.End(ids["ended"], 3)
	w.Manager.End(ids["once"], 0)
	w.Manager.Forget(ids["lost"])
	w.Manager.Forget(ids["phoenix"])
	require.NoError(t, os.WriteFile(filepath.Join(w.Dir, "containers", damaged, "record.json"), []byte("{"), 0o600))

	e := w.Engine(t)
	eventually(t, func() bool { _, err := e.Get("once"); return err != nil })
	eventually(t, func() bool { return status(t, e, "phoenix") == container.StateRunning })
	got := map[string]string{}
	for name := range ids {
		if c, err := e.Get(name); err == nil {
			v := c.View()
			got[name] = string(v.Status)
			if v.Last != nil && !v.Running() {
				got[name] += " " + itoa(v.Last.Code)
			}
		}
	}
	require.Equal(t, map[string]string{
		"runs": "running", "ended": "exited 3", "lost": "exited 255", "phoenix": "running", "stopped": "exited 143", "idle": "created",
	}, got)
	tasks, err := w.Manager.ListTasks(t.Context())
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(tasks, func(task managerTask) bool { return task.ID == damaged }),
		"a container whose record is damaged goes on, and its snapshot stays")
	w.Manager.End(ids["runs"], 9)
	eventually(t, func() bool { return status(t, e, "runs") == container.StateExited })
}
