package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

// Version of the client.
const Version = "0.1.0"

// commit is the revision this program was built from, as the Go tool recorded it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(7, len(setting.Value))]
		}
	}
	return "unknown"
}

// clientVersion is what `--format '{{.Client.Version}}'` may name.
type clientVersion struct {
	Version, APIVersion, DefaultAPIVersion, GitCommit, GoVersion, Os, Arch, Context string
}

// serverVersion has the shape docker gives it.
type serverVersion struct {
	Platform                               client.PlatformInfo
	Version, APIVersion, MinAPIVersion     string
	GitCommit, GoVersion, Os, Arch         string
	KernelVersion, BuildTime, Experimental string
	Components                             []system.ComponentVersion
}

type versions struct {
	Client clientVersion
	Server *serverVersion
}

func newVersion(app *App) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use: "version [OPTIONS]", Short: "Show the Slipway version information", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runVersion(cmd.Context(), app, format) },
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Format output using a custom template: 'json' or 'TEMPLATE'")
	return cmd
}

func runVersion(ctx context.Context, app *App, format string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	v := versions{Client: clientVersion{
		Version: Version, DefaultAPIVersion: client.MaxAPIVersion, GitCommit: commit(), GoVersion: runtime.Version(),
		Os: runtime.GOOS, Arch: runtime.GOARCH, Context: "default",
	}}
	got, failed := api.ServerVersion(ctx, client.ServerVersionOptions{})
	v.Client.APIVersion = api.ClientVersion()
	if failed == nil {
		v.Server = serverOf(got)
	}
	if format != "" {
		return errors.Join(app.templated(format, v), failed)
	}
	return errors.Join(app.writeVersions(v), failed)
}

func serverOf(got client.ServerVersionResult) *serverVersion {
	s := &serverVersion{
		Platform: got.Platform, Version: got.Version, APIVersion: got.APIVersion, MinAPIVersion: got.MinAPIVersion, Os: got.Os, Arch: got.Arch, Components: got.Components,
	}
	for _, c := range got.Components {
		if c.Name == "Engine" {
			s.GitCommit, s.GoVersion, s.BuildTime = c.Details["GitCommit"], c.Details["GoVersion"], c.Details["BuildTime"]
			s.KernelVersion, s.Experimental = c.Details["KernelVersion"], c.Details["Experimental"]
		}
	}
	return s
}

func (a *App) writeVersions(v versions) error {
	w := tabwriter.NewWriter(a.Out, 20, 1, 1, ' ', 0)
	api := v.Client.APIVersion
	if api != v.Client.DefaultAPIVersion {
		api += " (downgraded from " + v.Client.DefaultAPIVersion + ")"
	}
	fmt.Fprintf(w, "Client:\n Version:\t%s\n API version:\t%s\n Go version:\t%s\n Git commit:\t%s\n OS/Arch:\t%s/%s\n",
		v.Client.Version, api, v.Client.GoVersion, v.Client.GitCommit, v.Client.Os, v.Client.Arch)
	if v.Server != nil {
		fmt.Fprintf(w, "\nServer:")
		if v.Server.Platform.Name != "" {
			fmt.Fprintf(w, " %s", v.Server.Platform.Name)
		}
		fmt.Fprintln(w)
		for _, c := range v.Server.Components {
			writeComponent(w, c, v.Server.MinAPIVersion)
		}
	}
	return w.Flush()
}

func writeComponent(w *tabwriter.Writer, c system.ComponentVersion, minimum string) {
	fmt.Fprintf(w, " %s:\n  Version:\t%s\n", c.Name, c.Version)
	if c.Name != "Engine" {
		for _, key := range sortedKeys(c.Details) {
			fmt.Fprintf(w, "  %s:\t%s\n", key, c.Details[key])
		}
		return
	}
	fmt.Fprintf(w, "  API version:\t%s (minimum version %s)\n  Go version:\t%s\n  Git commit:\t%s\n  Built:\t%s\n  OS/Arch:\t%s/%s\n  Experimental:\t%s\n",
		c.Details["ApiVersion"], minimum, c.Details["GoVersion"], c.Details["GitCommit"], c.Details["BuildTime"], c.Details["Os"], c.Details["Arch"], c.Details["Experimental"])
}

// templated prints one value through a template.
func (a *App) templated(format string, value any) error {
	if format == "json" {
		format = "{{json .}}"
	}
	tmpl, err := parseTemplate(format)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := tmpl.Execute(&line, value); err != nil {
		return StatusError{Code: 1, Text: fmt.Sprintf("template parsing error: %v", err)}
	}
	a.println(line.String())
	return nil
}
