package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs the client and returns its exit code: 125 for a mistake of the user or the daemon where Docker says so, otherwise 1,
// and for run, exec, attach and start the container's own.
func Main(ctx context.Context, app *App, args []string) int {
	root := NewRoot(app)
	root.SetArgs(args)
	root.SetIn(app.In)
	root.SetOut(app.Out)
	root.SetErr(app.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if status, ok := errors.AsType[StatusError](err); ok {
		if status.Text != "" {
			fmt.Fprintln(app.Err, app.named(status.Text))
		}
		return status.Code
	}
	fmt.Fprintln(app.Err, app.wording(err))
	return 1
}

// NewRoot composes the command tree.
func NewRoot(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:           "slipway [OPTIONS] COMMAND [ARG...]",
		Short:         "A container engine that can be understood",
		SilenceErrors: true, SilenceUsage: true, TraverseChildren: true, DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("slipway: unknown command: slipway %s\n\nRun 'slipway --help' for more information", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Flags().StringVarP(&app.host, "host", "H", "", "Daemon socket to connect to (env SLIPWAY_HOST, DOCKER_HOST; default "+DefaultHost+")")
	version := root.Flags().BoolP("version", "v", false, "Print version information and quit")
	root.PreRunE = func(*cobra.Command, []string) error {
		if *version {
			app.println("Slipway version " + Version + ", build " + commit())
			return StatusError{}
		}
		return nil
	}
	root.AddGroup(&cobra.Group{ID: "common", Title: "Common Commands:"}, &cobra.Group{ID: "management", Title: "Management Commands:"}, &cobra.Group{ID: "other", Title: "Commands:"})
	addGroup(root, "common", newRun(app), newExec(app), newPs(app, "ps"), newPull(app), newImages(app, "images"), newVersion(app), newInfo(app))
	addGroup(root, "management", newContainer(app), newImage(app), newNetwork(app), newVolume(app), newSystem(app))
	addGroup(root, "other", containerVerbs(app)...)
	addGroup(root, "other", newRmi(app, "rmi"), newTag(app), newEvents(app), newInspect(app), newJobs(app), newHistory(app), newSave(app), newLoad(app))
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(flagError)
	helpFlags(root)
	return root
}

// containerVerbs are those that stand both at the top and below `container`.
func containerVerbs(app *App) []*cobra.Command {
	return []*cobra.Command{
		newAttach(app), newCommit(app), newCp(app), newCreate(app), newDiff(app), newExport(app), newKill(app), newLogs(app), newPause(app), newPort(app), newRename(app), newRestart(app),
		newRm(app), newStart(app), newStats(app), newStop(app), newTop(app), newUnpause(app), newUpdate(app), newWait(app),
	}
}

func newContainer(app *App) *cobra.Command {
	group := management("container", "Manage containers")
	group.AddCommand(newRun(app), newExec(app), newPs(app, "ls"), newTypedInspect(app, "container"), newPrune(app, containerPruner()))
	group.AddCommand(containerVerbs(app)...)
	return group
}

func newImage(app *App) *cobra.Command {
	group := management("image", "Manage images")
	group.AddCommand(newImages(app, "ls"), newRmi(app, "rm"), newPull(app), newTag(app), newTypedInspect(app, "image"), newHistory(app), newSave(app), newLoad(app), newPrune(app, imagePruner()))
	return group
}

func newSystem(app *App) *cobra.Command {
	group := management("system", "Manage Slipway")
	group.AddCommand(newEvents(app), newInfo(app))
	return group
}

// management is a command that only holds others.
func management(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name + " COMMAND", Short: short, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("slipway: unknown command: slipway %s %s\n\nUsage:  slipway %s\n\nRun 'slipway %s --help' for more information", name, args[0], name, name)
			}
			return cmd.Help()
		},
	}
}

func addGroup(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
}

// helpFlags gives every command a --help without the letter h, which is --hostname to run.
func helpFlags(cmd *cobra.Command) {
	cmd.Flags().Bool("help", false, "Print usage")
	cmd.Flags().Lookup("help").Hidden = true
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		helpFlags(sub)
	}
}

// flagError words a wrong flag as Docker does; its code is 125.
func flagError(cmd *cobra.Command, err error) error {
	if err == pflag.ErrHelp {
		return err
	}
	return StatusError{Code: 125, Text: fmt.Sprintf("%v\n\nUsage:  %s\n\nRun '%s --help' for more information", err, cmd.UseLine(), cmd.CommandPath())}
}

// exactArgs and minArgs word a wrong number of arguments as Docker does.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return wrongCount(cmd, "requires", "Run", n)
	}
}

func minArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= n {
			return nil
		}
		return wrongCount(cmd, "requires at least", "See", n)
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return StatusError{Code: 1, Text: fmt.Sprintf("%s: '%s' accepts no arguments\n\nUsage:  %s\n\nRun '%s --help' for more information", "slipway", cmd.CommandPath(), cmd.UseLine(), cmd.CommandPath())}
}

func wrongCount(cmd *cobra.Command, verb, see string, n int) error {
	noun := "arguments"
	if n == 1 {
		noun = "argument"
	}
	return StatusError{Code: 1, Text: fmt.Sprintf("slipway: '%s' %s %d %s\n\nUsage:  %s\n\n%s '%s --help' for more information", cmd.CommandPath(), verb, n, noun, cmd.UseLine(), see, cmd.CommandPath())}
}

// filterFlag collects --filter key=value.
type filterFlag map[string]map[string]bool

func (f filterFlag) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	if !ok || key == "" {
		return errors.New("bad format of filter (expected name=value)")
	}
	if f[key] == nil {
		f[key] = map[string]bool{}
	}
	f[key][strings.TrimSpace(value)] = true
	return nil
}

func (f filterFlag) String() string { return "" }

func (f filterFlag) Type() string { return "filter" }

const helpTemplate = `Usage:  {{.UseLine}}

{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}{{end}}
{{if .Aliases}}
Aliases:
  {{.NameAndAliases}}
{{end}}{{.UsageString}}`

const usageTemplate = `{{if .HasAvailableSubCommands}}{{$cmds := .Commands}}{{$groups := .Groups}}{{range $group := .Groups}}
{{.Title}}
{{- range $cmds}}{{if (and (eq .GroupID $group.ID) .IsAvailableCommand)}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if not $groups}}
Commands:
{{- range $cmds}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if .HasAvailableLocalFlags}}
{{if .HasParent}}Options:{{else}}Global Options:{{end}}
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableSubCommands}}
Run '{{.CommandPath}} COMMAND --help' for more information on a command.
{{end}}`
