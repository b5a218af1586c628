// Package hooks runs the programs of config.json's hooks, each with the container's state on its standard input (runtime-spec
// config.md, "POSIX-platform Hooks"). When each kind runs is written in package plan and package runtime; this is how.
package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Run performs the hooks of one kind in their order and stops at the first that fails.
func Run(ctx context.Context, kind string, list []specs.Hook, state specs.State) error {
	if len(list) == 0 {
		return nil
	}
	input, err := json.Marshal(state)
	if err != nil {
		return err
	}
	for i, h := range list {
		if err := one(ctx, h, input, state.Bundle); err != nil {
			return fmt.Errorf("error running %s hook #%d: %s: %w", kind, i, h.Path, err)
		}
	}
	return nil
}

// one runs a hook. One that outlives its timeout is killed, and its children with it.
func one(ctx context.Context, h specs.Hook, input []byte, dir string) error {
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(*h.Timeout)*time.Second, fmt.Errorf("it took longer than %d s", *h.Timeout))
		defer cancel()
	}
	cmd, err := command(ctx, h, dir)
	if err != nil {
		return err
	}
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, &output
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open does not hold us up
	err = cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case output.Len() > 0:
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(output.Bytes()[:min(output.Len(), 4096)]))
	}
	return err
}

// command is the hook's program with exactly the hook's arguments and environment, in the directory dir (the bundle). When ctx
// ends, the program and whatever it has started are killed.
func command(ctx context.Context, h specs.Hook, dir string) (*exec.Cmd, error) {
	//ex:begin oci.hooks
	cmd := exec.CommandContext(ctx, h.Path)
	cmd.Args, cmd.Env, cmd.Dir = h.Args, h.Env, dir
	if len(cmd.Args) == 0 {
		cmd.Args = []string{h.Path}
	}
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would mean ours
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd, nil
	//ex:stub
	// return nil, todo.Exercise("oci.hooks")
	//ex:end oci.hooks
}
