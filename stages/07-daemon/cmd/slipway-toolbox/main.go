// Command slipway-toolbox is the userland of the embedded image: one static program that is every command of /bin, chosen by
// the name it is called by.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/shell"
)

func main() {
	shell.BecomeFirst()
	args := os.Args
	name := strings.TrimPrefix(filepath.Base(args[0]), "-") // a login shell's name starts with a minus
	if name == "slipway-toolbox" && len(args) > 1 {
		args = args[1:]
		name = args[0]
	}
	os.Exit(run(name, args))
}

func run(name string, args []string) int {
	table := applets.Table()
	if name == "sh" || name == "ash" {
		return shell.Main(args, inside(table))
	}
	applet := table[name]
	if applet == nil {
		fmt.Fprintf(os.Stderr, "slipway-toolbox: %s: no such command; there are: sh %s\n", name, strings.Join(slices.Sorted(maps.Keys(table)), " "))
		return 127
	}
	return applet(&applets.Proc{Args: args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

// inside picks what the shell runs in its own process; everything else is a process of its own, as a person expects in ps.
func inside(table map[string]applets.Applet) map[string]applets.Applet {
	chosen := map[string]applets.Applet{}
	for _, name := range []string{"echo", "printf", "test", "[", "true", "false", "pwd", "kill"} {
		chosen[name] = table[name]
	}
	return chosen
}
