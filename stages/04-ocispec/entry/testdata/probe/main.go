// Command probe tells what a program that begins at entry finds.
package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/entry"
)

func main() {
	if entry.Failed != nil {
		panic(entry.Failed)
	}
	if len(os.Args) == 2 && os.Args[1] == "slack" {
		report(slack())
		return
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	hook, err := exec.Command(self, "slack").Output()
	if err != nil {
		panic(err)
	}
	own := 0
	launch.OnOwnThread(func() bool { own = slack(); return false })
	report(map[string]any{
		"args": os.Args[1:], "env": os.Environ(), "procs": runtime.GOMAXPROCS(0), "first": unix.Gettid() == unix.Getpid(),
		"slack": slack(), "child": json.RawMessage(hook), "own": own,
	})
}

func slack() int {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		panic(err)
	}
	return ns
}

func report(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}
