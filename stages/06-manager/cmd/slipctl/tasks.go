package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
)

func newTasks(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "tasks", Aliases: []string{"task", "t"}, Short: "What does run"}
	cmd.AddCommand(newTasksList(s), newTasksStart(s), newTasksKill(s), newTasksExec(s), newTasksAttach(s), newTasksRemove(s),
		newTasksPause(s), newTasksResume(s), newTasksPs(s), newTasksMetrics(s))
	return cmd
}

func newTasksList(s *session) *cobra.Command {
	var quiet bool
	cmd := s.verb("ls", "List tasks", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		resp, err := c.Tasks.List(ctx, &tasksapi.ListTasksRequest{})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, t := range resp.GetTasks() {
			if quiet {
				fmt.Fprintln(s.out, t.GetID())
			}
			rows = append(rows, []string{t.GetID(), fmt.Sprint(t.GetPid()), t.GetStatus().String()})
		}
		if quiet {
			return nil
		}
		return s.table("TASK|PID|STATUS", rows)
	})
	cmd.Aliases = []string{"list"}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "ids only")
	return cmd
}

func newTasksStart(s *session) *cobra.Command {
	var o runOptions
	cmd := s.verb("start ID", "Create and start the task of a container", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Containers.Get(ctx, &containersapi.GetContainerRequest{ID: args[0]})
		if err != nil {
			return err
		}
		config, err := readSpec(resp.GetContainer())
		if err != nil {
			return err
		}
		o.snapshotter, o.tty = resp.GetContainer().GetSnapshotter(), config.Process.Terminal
		p := &process{s: s, c: c, id: args[0], tty: o.tty, remove: !o.detach}
		return p.run(ctx, o.detach, func(in, out, errs string) error {
			return createTask(ctx, c, o, args[0], in, out, errs)
		})
	})
	cmd.Flags().BoolVarP(&o.detach, "detach", "d", false, "leave it running and return")
	return cmd
}

func readSpec(c *containersapi.Container) (*specs.Spec, error) {
	config := &specs.Spec{}
	if err := json.Unmarshal(c.GetSpec().GetValue(), config); err != nil {
		return nil, fmt.Errorf("container %s: its spec: %w", c.GetID(), err)
	}
	if config.Process == nil {
		return nil, fmt.Errorf("container %s: its spec has no process", c.GetID())
	}
	return config, nil
}

func newTasksKill(s *session) *cobra.Command {
	var sig string
	var all bool
	var execID string
	cmd := s.verb("kill ID", "Send a signal (SIGTERM)", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		n, err := parseSignal(sig)
		if err != nil {
			return err
		}
		_, err = c.Tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: args[0], ExecID: execID, Signal: n, All: all})
		return err
	})
	cmd.Flags().StringVarP(&sig, "signal", "s", "SIGTERM", "name or number")
	cmd.Flags().BoolVar(&all, "all", false, "to every process")
	cmd.Flags().StringVar(&execID, "exec-id", "", "to an exec")
	return cmd
}

func parseSignal(text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil && n > 0 {
		return uint32(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if n := unix.SignalNum(name); n != 0 {
		return uint32(n), nil
	}
	return 0, fmt.Errorf("signal %q: unknown", text)
}

func newTasksExec(s *session) *cobra.Command {
	var id, cwd string
	var tty, detach bool
	cmd := s.verb("exec --exec-id ID CONTAINER CMD...", "Run another process in a container", cobra.MinimumNArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Containers.Get(ctx, &containersapi.GetContainerRequest{ID: args[0]})
		if err != nil {
			return err
		}
		config, err := readSpec(resp.GetContainer())
		if err != nil {
			return err
		}
		config.Process.Args, config.Process.Terminal = args[1:], tty
		if cwd != "" {
			config.Process.Cwd = cwd
		}
		raw, err := json.Marshal(config.Process)
		if err != nil {
			return err
		}
		p := &process{s: s, c: c, id: args[0], exec: id, tty: tty, remove: !detach}
		return p.run(ctx, detach, func(in, out, errs string) error {
			_, err := c.Tasks.Exec(ctx, &tasksapi.ExecProcessRequest{
				ContainerID: args[0], ExecID: id, Terminal: tty, Stdin: in, Stdout: out, Stderr: errs,
				Spec: &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: raw},
			})
			return err
		})
	})
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVar(&id, "exec-id", "", "name of the process")
	f.StringVar(&cwd, "cwd", "", "working directory")
	f.BoolVarP(&tty, "tty", "t", false, "give it a terminal")
	f.BoolVarP(&detach, "detach", "d", false, "leave it running and return")
	_ = cmd.MarkFlagRequired("exec-id") // the flag is defined two lines above
	return cmd
}

func newTasksAttach(s *session) *cobra.Command {
	return s.verb("attach ID", "Connect to the stdio of a running task", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Tasks.Get(ctx, &tasksapi.GetRequest{ContainerID: args[0]})
		if err != nil {
			return err
		}
		t := resp.GetProcess()
		fifos := &pipes{stdin: t.GetStdin(), stdout: t.GetStdout(), stderr: t.GetStderr()}
		if !strings.HasPrefix(fifos.stdout, "/") {
			return fmt.Errorf("task %s: its output goes to %q, not to a pipe", args[0], fifos.stdout)
		}
		p := &process{s: s, c: c, id: args[0], tty: t.GetTerminal()}
		if p.tty {
			restore, err := raw(s.in)
			if err != nil {
				return err
			}
			defer restore()
		}
		fifos.connect(s.streams, func() { p.closeInput(ctx) })
		return p.attached(ctx, fifos, false)
	})
}

func newTasksRemove(s *session) *cobra.Command {
	var force bool
	cmd := s.verb("rm ID...", "Remove stopped tasks", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return each(args, func(id string) error { return removeTask(ctx, c, id, force) })
	})
	cmd.Aliases = []string{"delete", "del", "remove"}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill it first")
	return cmd
}

func removeTask(ctx context.Context, c *client.Client, id string, force bool) error {
	if force {
		_, err := c.Tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: id, Signal: uint32(unix.SIGKILL), All: true})
		if err == nil { // an error means that it has ended, or that Delete will say why not
			if _, err := c.Tasks.Wait(ctx, &tasksapi.WaitRequest{ContainerID: id}); err != nil {
				return err
			}
		}
	}
	_, err := c.Tasks.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: id})
	return err
}

func newTasksPause(s *session) *cobra.Command {
	return s.verb("pause ID", "Freeze all processes", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		_, err := c.Tasks.Pause(ctx, &tasksapi.PauseTaskRequest{ContainerID: args[0]})
		return err
	})
}

func newTasksResume(s *session) *cobra.Command {
	return s.verb("resume ID", "Let frozen processes go on", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		_, err := c.Tasks.Resume(ctx, &tasksapi.ResumeTaskRequest{ContainerID: args[0]})
		return err
	})
}

func newTasksPs(s *session) *cobra.Command {
	return s.verb("ps ID", "List the processes of a task", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Tasks.ListPids(ctx, &tasksapi.ListPidsRequest{ContainerID: args[0]})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, p := range resp.GetProcesses() {
			rows = append(rows, []string{fmt.Sprint(p.GetPid()), "-"})
		}
		return s.table("PID|INFO", rows)
	})
}
