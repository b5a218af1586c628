package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type inspectOptions struct {
	format, kind string
	size         bool
}

func newInspect(app *App) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use: "inspect [OPTIONS] NAME|ID [NAME|ID...]", Short: "Return low-level information on Docker objects", Args: minArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeAllContainers,
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "", "Format output using a custom template: 'json' or 'TEMPLATE'")
	cmd.Flags().StringVar(&o.kind, "type", "", "Only inspect objects of the given type")
	cmd.Flags().BoolVarP(&o.size, "size", "s", false, "Display total file sizes if the type is container")
	return cmd
}

// newTypedInspect is `container inspect`, `image inspect`, `network inspect` and `volume inspect`.
func newTypedInspect(app *App, kind string) *cobra.Command {
	o := inspectOptions{kind: kind}
	cmd := &cobra.Command{
		Use: "inspect [OPTIONS] " + strings.ToUpper(kind) + " [" + strings.ToUpper(kind) + "...]", Short: "Display detailed information on one or more " + kind + "s", Args: minArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), app, o, args) },
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "", "Format output using a custom template: 'json' or 'TEMPLATE'")
	if kind == "container" {
		cmd.Flags().BoolVarP(&o.size, "size", "s", false, "Display total file sizes")
	}
	return cmd
}

// finder looks one object up; the raw answer of the daemon is what is shown.
type finder struct {
	kind string
	find func(ctx context.Context, name string) (json.RawMessage, error)
}

// finders are asked in the order in which docker asks.
func finders(api *client.Client, size bool) []finder {
	return []finder{
		{"container", func(ctx context.Context, name string) (json.RawMessage, error) {
			got, err := api.ContainerInspect(ctx, name, client.ContainerInspectOptions{Size: size})
			return got.Raw, err
		}},
		{"image", func(ctx context.Context, name string) (json.RawMessage, error) {
			var raw bytes.Buffer
			_, err := api.ImageInspect(ctx, name, client.ImageInspectWithRawResponse(&raw))
			return raw.Bytes(), err
		}},
		{"network", func(ctx context.Context, name string) (json.RawMessage, error) {
			got, err := api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
			return got.Raw, err
		}},
		{"volume", func(ctx context.Context, name string) (json.RawMessage, error) {
			got, err := api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
			return got.Raw, err
		}},
	}
}

func runInspect(ctx context.Context, app *App, o inspectOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	var chosen []finder
	for _, f := range finders(api, o.size) {
		if o.kind == "" || o.kind == f.kind {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("%q is not a valid value for --type", o.kind)
	}
	var objects []json.RawMessage
	var failed error
	for _, name := range names {
		raw, err := findObject(ctx, chosen, name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		objects = append(objects, raw)
	}
	return errors.Join(app.showObjects(objects, o.format), failed)
}

func findObject(ctx context.Context, chosen []finder, name string) (json.RawMessage, error) {
	for _, f := range chosen {
		raw, err := f.find(ctx, name)
		if err == nil || !isNotFound(err) || len(chosen) == 1 {
			return raw, err
		}
	}
	return nil, fmt.Errorf("Error: No such object: %s", name)
}

// showObjects prints one JSON array, or a line per object through a template.
func (a *App) showObjects(objects []json.RawMessage, format string) error {
	if format == "" {
		if objects == nil {
			objects = []json.RawMessage{}
		}
		text, err := json.Marshal(objects)
		if err != nil {
			return err
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, text, "", "    "); err != nil {
			return err
		}
		pretty.WriteByte('\n')
		_, err = a.Out.Write(pretty.Bytes())
		return err
	}
	if format == "json" {
		format = "{{json .}}"
	}
	tmpl, err := parseTemplate(format)
	if err != nil {
		return StatusError{Code: 64, Text: fmt.Sprintf("template parsing error: %v", errors.Unwrap(err))}
	}
	for _, raw := range objects {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber() // large numbers stay whole
		var object any
		if err := decoder.Decode(&object); err != nil {
			return fmt.Errorf("read the daemon's answer: %w", err)
		}
		var line bytes.Buffer
		if err := tmpl.Execute(&line, object); err != nil {
			return fmt.Errorf("template parsing error: %w", err)
		}
		a.println(line.String())
	}
	return nil
}
