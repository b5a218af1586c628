package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

// job is one operation of the daemon, as GET /slipway/jobs tells it.
type job struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	Container string        `json:"container"`
	Started   time.Time     `json:"started"`
	Duration  time.Duration `json:"duration_ns"`
	Status    string        `json:"status"` // running, done, failed
	Cause     string        `json:"cause"`
}

type jobsOptions struct {
	running bool
	noTrunc bool
	format  string
}

func newJobs(app *App) *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use: "jobs [OPTIONS]", Short: "List the daemon's operations, in flight and recent (slipway-daemon only)", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runJobs(cmd.Context(), app, o) },
	}
	cmd.Flags().BoolVarP(&o.running, "running", "r", false, "Show only what is in flight")
	cmd.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Don't truncate output")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	return cmd
}

func runJobs(ctx context.Context, app *App, o jobsOptions) error {
	jobs, err := app.fetchJobs(ctx)
	if err != nil {
		return err
	}
	l := listing{
		table: "{{.ID}}\t{{.Name}}\t{{.Container}}\t{{.Started}}\t{{.Took}}\t{{.Status}}", quiet: "ID",
		headings: map[string]string{"ID": "JOB ID", "Name": "NAME", "Container": "CONTAINER", "Started": "STARTED", "Took": "TOOK", "Status": "STATUS"},
	}
	for _, j := range jobs {
		if !o.running || j.Status == "running" {
			l.rows = append(l.rows, app.jobRow(j, o.noTrunc))
		}
	}
	return l.write(app.Out, o.format, false)
}

// fetchJobs asks on the daemon's own path, which no Docker engine has.
func (a *App) fetchJobs(ctx context.Context) ([]job, error) {
	api, err := a.connect()
	if err != nil {
		return nil, err
	}
	dial := api.Dialer()
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
	defer web.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://slipway.localhost/slipway/jobs", nil)
	if err != nil {
		return nil, err
	}
	answer, err := web.Do(request)
	if errors.Is(err, os.ErrNotExist) {
		return nil, StatusError{Code: 1, Text: a.absent()}
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for its jobs: %w", a.daemonHost(), err)
	}
	defer closeAfter(answer.Body)
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("the daemon at %s has no jobs: it is not slipway-daemon", a.daemonHost())
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s for its jobs: %s", a.daemonHost(), answer.Status)
	}
	var jobs []job
	if err := json.NewDecoder(answer.Body).Decode(&jobs); err != nil {
		return nil, fmt.Errorf("read the daemon's jobs: %w", err)
	}
	return jobs, nil
}

func (a *App) jobRow(j job, noTrunc bool) row {
	name, status := j.Container, j.Status
	if !noTrunc {
		name = shortID(name)
	}
	if j.Cause != "" {
		status += ": " + j.Cause
		if !noTrunc {
			status = ellipsis(strings.ReplaceAll(status, "\n", " "), 60)
		}
	}
	return row{
		"ID": j.ID, "Name": j.Name, "Container": name, "Started": units.HumanDuration(a.Now().Sub(j.Started)) + " ago",
		"Took": j.Duration.Round(100 * time.Microsecond).String(), "Status": status,
	}
}
