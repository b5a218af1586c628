package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// verb is a subcommand that is not built yet.
type verb struct {
	name string
	make func(*global) *cobra.Command
}

func verbs() []verb {
	return []verb{
		{"create", newCreate},
		{"start", newStart},
		{"run", newRun},
		{"state", newState},
		{"kill", newKill},
		{"delete", newDelete},
		{"exec", newExec},
		{"list", newList},
		{"ps", newPs},
		{"pause", newPause},
		{"resume", newResume},
		{"update", newUpdate},
		{"events", newEvents},
		{"spec", newSpec},
		{"features", newFeatures},
		{"explain", newExplain},
		{"checkpoint", newCheckpoint},
		{"restore", newRestore},
	}
}

// wanted are the verbs that occur among the arguments: this program is started for one, and to build them all with their flags
// costs as much as a small verb itself. All are wanted when none is named, and to be listed in a help text.
func wanted(args []string) []verb {
	all := verbs()
	if slices.ContainsFunc(args, func(a string) bool { return a == "help" || a == "-h" || a == "-help" || a == "--help" }) {
		return all
	}
	named := slices.DeleteFunc(verbs(), func(v verb) bool { return !slices.Contains(args, v.name) })
	if len(named) == 0 {
		return all
	}
	return named
}
