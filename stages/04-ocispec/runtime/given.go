package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/entry"
	"github.com/slipway-engine/slipway/stages/04-ocispec/hooks"
)

// start performs a plan whose child begins with the timer slack that this process was given (package entry).
func start(ctx context.Context, p *launch.Plan, o launch.Options) (*launch.Process, error) {
	o.TimerSlack = entry.Slack()
	return launch.Start(ctx, p, o)
}

// asGiven calls f, which starts processes in another way, on a thread that has it.
func asGiven(f func() error) error {
	if !entry.Ran() {
		return f()
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(entry.Slack()), 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	return f()
}

// runHooks runs those of one kind on the host.
func runHooks(ctx context.Context, kind string, list []specs.Hook, st specs.State) error {
	if len(list) == 0 {
		return nil
	}
	return asGiven(func() error { return hooks.Run(ctx, kind, list, st) })
}
