package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type eventsOptions struct {
	since, until, format string
	filter               filterFlag
}

func newEvents(app *App) *cobra.Command {
	o := eventsOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: "events [OPTIONS]", Short: "Get real time events from the server", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEvents(cmd.Context(), app, o) },
	}
	cmd.Flags().StringVar(&o.since, "since", "", "Show all events created since timestamp")
	cmd.Flags().StringVar(&o.until, "until", "", "Stream events until this timestamp")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'json' or 'TEMPLATE'")
	cmd.Flags().VarP(o.filter, "filter", "f", "Filter output based on conditions provided")
	return cmd
}

func runEvents(ctx context.Context, app *App, o eventsOptions) error {
	var tmpl *template.Template
	if o.format != "" {
		format := o.format
		if format == "json" {
			format = "{{json .}}"
		}
		var err error
		if tmpl, err = parseTemplate(format); err != nil {
			return err
		}
	}
	api, err := app.connect()
	if err != nil {
		return err
	}
	got := api.Events(ctx, client.EventsListOptions{Since: o.since, Until: o.until, Filters: client.Filters(o.filter)})
	for {
		select {
		case event := <-got.Messages:
			if err := app.showEvent(event, tmpl); err != nil {
				return err
			}
		case err := <-got.Err:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (a *App) showEvent(e events.Message, tmpl *template.Template) error {
	if tmpl == nil {
		a.println(eventLine(e))
		return nil
	}
	var line bytes.Buffer
	if err := tmpl.Execute(&line, e); err != nil {
		return fmt.Errorf("template parsing error: %w", err)
	}
	a.println(line.String())
	return nil
}

// eventLine is `TIME TYPE ACTION ID (key=value, …)`.
func eventLine(e events.Message) string {
	when := time.Unix(0, e.TimeNano)
	if e.TimeNano == 0 {
		when = time.Unix(e.Time, 0)
	}
	line := fmt.Sprintf("%s %s %s %s", when.Format("2006-01-02T15:04:05.000000000Z07:00"), e.Type, e.Action, e.Actor.ID)
	if len(e.Actor.Attributes) > 0 {
		line += " (" + strings.Join(sortedPairs(e.Actor.Attributes), ", ") + ")"
	}
	return line
}
