package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// about stands at the top of the help, as in every OCI runtime.
const about = "Open Container Initiative runtime"

// program is the name that we were called by: where a link named runc stands in for runc, its callers look for that name.
func program() string { return filepath.Base(os.Args[0]) }

// helpTemplate lays the help out as runc's is, headings and all: people and programs search it.
const helpTemplate = `NAME:
   {{.CommandPath}} - {{.Short}}

USAGE:
   {{.UseLine}}{{if .HasAvailableSubCommands}} COMMAND [ARG...]

COMMANDS:
{{range .Commands}}{{if .IsAvailableCommand}}   {{rpad .Name .NamePadding}}  {{.Short}}
{{end}}{{end}}{{end}}{{if .Long}}

DESCRIPTION:
   {{.Long}}{{end}}

{{if .HasAvailableLocalFlags}}OPTIONS:
{{.LocalFlags.FlagUsages}}{{end}}{{if .HasAvailableInheritedFlags}}
GLOBAL OPTIONS:
{{.InheritedFlags.FlagUsages}}{{end}}`

// unknownTopic words cobra's complaint about a verb that is none as runc does.
func unknownTopic(err error) error {
	if err == nil {
		return nil
	}
	rest, ok := strings.CutPrefix(err.Error(), `unknown command "`)
	if !ok {
		return err
	}
	name, _, _ := strings.Cut(rest, `"`)
	return &failure{fmt.Errorf("No help topic for '%s'", name), 3} //nolint:staticcheck // runc's words
}

func setHelp(cmd *cobra.Command) {
	cmd.SetHelpTemplate(helpTemplate)
	cmd.SetHelpCommand(newHelp())
}

// newHelp is cobra's, but a verb that is none is an error.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "show the commands, or one command's flags",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // it opens no log
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			return about.Help()
		},
	}
}
