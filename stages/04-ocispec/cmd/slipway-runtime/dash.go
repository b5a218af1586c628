package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runc's flags are Go's: one dash or two mean the same, however long the name is. Here one dash is for letters, which may stand together.

// oneStyle gives long names two dashes and letters one: `-root X` and `--b DIR` become `--root X` and `-b DIR`. What stands behind a verb's
// first word, or behind "--", is the container's and stays as it is. of finds the flags of a verb, nil when there is no such verb.
func oneStyle(args []string, global *pflag.FlagSet, of func(verb string) *pflag.FlagSet) []string {
	out, set := slices.Clone(args), global
	for i := 0; i < len(out) && set != nil; i++ {
		switch a := out[i]; {
		case a == "--":
			return out
		case len(a) > 1 && a[0] == '-':
			takesNext := false
			if out[i], takesNext = restyle(set, a); takesNext {
				i++
			}
		case set == global:
			set = of(a)
		default:
			return out
		}
	}
	return out
}

// restyle rewrites one flag and says whether the next argument is its value. A flag that nobody knows stays as it is.
func restyle(set *pflag.FlagSet, arg string) (_ string, takesNext bool) {
	body := strings.TrimPrefix(arg[1:], "-")
	name, _, hasValue := strings.Cut(body, "=")
	if len(name) > 1 {
		if f := set.Lookup(name); f != nil {
			return "--" + body, !hasValue && f.NoOptDefVal == ""
		}
		if arg[1] == '-' {
			return arg, false
		}
	}
	for i := range len(name) { // letters: the last one may have a value
		f := set.ShorthandLookup(name[i : i+1])
		if f == nil {
			return arg, false
		}
		if f.NoOptDefVal == "" {
			return "-" + body, !hasValue && i == len(name)-1
		}
	}
	return "-" + body, false
}

// styled are the arguments of a program in the style that cobra knows.
func styled(root *cobra.Command, args []string) []string {
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	root.PersistentFlags().AddFlagSet(root.Flags())
	return oneStyle(args, root.PersistentFlags(), func(name string) *pflag.FlagSet {
		for _, c := range root.Commands() {
			if c.Name() == name {
				c.InitDefaultHelpFlag()
				c.InheritedFlags() // joins them to its own
				return c.Flags()
			}
		}
		return nil
	})
}
