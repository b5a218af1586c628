package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// A container's whole life: created, started, waited for, deleted. The bundle is a directory with config.json and a root file
// system, as the runtime-spec describes it; "terminal" is false in it.
func Example() {
	ctx := context.Background()
	root, err := state.Open("/run/example")
	if err != nil {
		fmt.Println(err)
		return
	}
	rt := runtime.New(root, func(warning string) { fmt.Fprintln(os.Stderr, warning) })
	proc, err := rt.Create(ctx, runtime.CreateOptions{ID: "web", Bundle: "/var/lib/example/web"})
	if errors.Is(err, runtime.ErrExist) {
		fmt.Println("there is a container of that name")
		return
	} else if err != nil {
		fmt.Println(err) // nothing is left of it
		return
	}
	defer proc.Close()
	defer func() { _ = rt.Delete(ctx, "web", true) }()
	if err := rt.Start(ctx, "web"); err != nil {
		fmt.Println(err) // for example the error of execve(2)
		return
	}
	status, err := proc.Wait()
	fmt.Println(status.ExitStatus(), err)
}
