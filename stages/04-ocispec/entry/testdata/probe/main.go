// Command probe tells what a program that begins at entry finds.
package main

import (
	"encoding/json"
	"os"
	"runtime"

	"github.com/slipway-engine/slipway/stages/04-ocispec/entry"
)

func main() {
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"args": os.Args[1:], "env": os.Environ(), "procs": runtime.GOMAXPROCS(0),
		"ran": entry.Ran(), "readonly": entry.ReadOnly(), "slack": entry.Slack(),
	})
	if err != nil {
		panic(err)
	}
}
