package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type statsOptions struct {
	all, noStream, noTrunc bool
	format                 string
}

func newStats(app *App) *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use: "stats [OPTIONS] [CONTAINER...]", Short: "Display a live stream of container(s) resource usage statistics",
		RunE:              func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), app, o, args) },
		ValidArgsFunction: app.completeContainers,
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "Show all containers (default shows just running)")
	cmd.Flags().BoolVar(&o.noStream, "no-stream", false, "Disable streaming stats and only pull the first result")
	cmd.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Do not truncate output")
	cmd.Flags().StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	return cmd
}

func runStats(ctx context.Context, app *App, o statsOptions, names []string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	board := &statsBoard{samples: map[string]container.StatsResponse{}}
	if o.noStream {
		if err := board.once(ctx, api, o, names); err != nil {
			return err
		}
		return board.write(app.Out, o)
	}
	return app.watchStats(ctx, api, o, names, board)
}

// statsBoard holds the latest sample of every container.
type statsBoard struct {
	mu      sync.Mutex
	order   []string                           // guarded by mu; ids or names, as they are shown
	samples map[string]container.StatsResponse // guarded by mu
}

func (b *statsBoard) put(name string, sample container.StatsResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.order, name) {
		b.order = append(b.order, name)
	}
	b.samples[name] = sample
}

func (b *statsBoard) drop(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = slices.DeleteFunc(b.order, func(n string) bool { return n == name })
	delete(b.samples, name)
}

// containersOrAll are the named containers, or those that run (with all: every one).
func containersOrAll(ctx context.Context, api *client.Client, all bool, names []string) ([]string, error) {
	if len(names) > 0 {
		return names, nil
	}
	got, err := api.ContainerList(ctx, client.ContainerListOptions{All: all})
	if err != nil {
		return nil, err
	}
	for _, c := range got.Items {
		names = append(names, c.ID)
	}
	return names, nil
}

// once takes one sample of each, all at the same time: a sample takes a second.
func (b *statsBoard) once(ctx context.Context, api *client.Client, o statsOptions, names []string) error {
	names, err := containersOrAll(ctx, api, o.all, names)
	if err != nil {
		return err
	}
	b.order = names
	failures := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			failures[i] = readStats(ctx, api, name, false, func(s container.StatsResponse) { b.put(name, s) })
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// readStats hands every sample of a container to use until the stream ends.
func readStats(ctx context.Context, api *client.Client, name string, stream bool, use func(container.StatsResponse)) error {
	got, err := api.ContainerStats(ctx, name, client.ContainerStatsOptions{Stream: stream, IncludePreviousSample: true})
	if err != nil {
		return err
	}
	defer closeAfter(got.Body)
	decoder := json.NewDecoder(got.Body)
	for {
		var sample container.StatsResponse
		if err := decoder.Decode(&sample); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("read the statistics of %s: %w", name, err)
		}
		use(sample)
		if !stream {
			return nil
		}
	}
}

// watchStats draws the board twice a second; without names it follows containers that come and go.
func (a *App) watchStats(ctx context.Context, api *client.Client, o statsOptions, names []string, board *statsBoard) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	ended := make(chan error)
	follow := func(name string) {
		readers.Go(func() {
			err := readStats(ctx, api, name, true, func(s container.StatsResponse) { board.put(name, s) })
			if !o.all && len(names) == 0 {
				board.drop(name)
			}
			select {
			case ended <- err:
			case <-ctx.Done():
			}
		})
	}
	present, err := containersOrAll(ctx, api, o.all, names)
	if err != nil {
		return err
	}
	for _, name := range present {
		follow(name)
	}
	open := len(present)
	events := client.EventsResult{}
	if len(names) == 0 {
		events = api.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("type", "container").Add("event", "start", "destroy")})
	}
	ticks := time.NewTicker(500 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			if err := board.draw(a.Out, o); err != nil {
				return err
			}
		case event := <-events.Messages:
			if event.Action == "start" {
				follow(event.Actor.ID)
				open++
			} else {
				board.drop(event.Actor.ID)
			}
		case err := <-events.Err:
			return err
		case err := <-ended:
			open--
			if len(names) > 0 && (err != nil || open == 0) {
				return errors.Join(err, board.draw(a.Out, o))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// draw writes the board over the one before: from the top, each line clears its own rest.
func (b *statsBoard) draw(out io.Writer, o statsOptions) error {
	var screen strings.Builder
	screen.WriteString("\x1b[H")
	if err := b.write(&clearEnds{&screen}, o); err != nil {
		return err
	}
	screen.WriteString("\x1b[J")
	_, err := io.WriteString(out, screen.String())
	return err
}

// clearEnds clears what a longer line may have left behind.
type clearEnds struct{ w io.Writer }

func (c *clearEnds) Write(text []byte) (int, error) {
	_, err := io.WriteString(c.w, strings.ReplaceAll(string(text), "\n", "\x1b[K\n"))
	return len(text), err
}

func (b *statsBoard) write(out io.Writer, o statsOptions) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := listing{
		table: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}", quiet: "ID",
		headings: map[string]string{
			"ID": "CONTAINER ID", "Container": "CONTAINER", "Name": "NAME", "CPUPerc": "CPU %", "MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %",
			"NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
		},
	}
	for _, name := range b.order {
		l.rows = append(l.rows, statsRow(name, b.samples[name], o.noTrunc))
	}
	return l.write(out, o.format, false)
}

func statsRow(name string, s container.StatsResponse, noTrunc bool) row {
	id, shown := s.ID, name
	if !noTrunc {
		id, shown = shortID(id), shortID(shown)
	}
	if s.ID == "" {
		id = "--"
	}
	used := memoryUsed(s.MemoryStats)
	share := 0.0
	if s.MemoryStats.Limit > 0 {
		share = used / float64(s.MemoryStats.Limit) * 100
	}
	var received, sent, read, written uint64
	for _, n := range s.Networks {
		received, sent = received+n.RxBytes, sent+n.TxBytes
	}
	for _, entry := range s.BlkioStats.IoServiceBytesRecursive {
		switch strings.ToLower(entry.Op) {
		case "read":
			read += entry.Value
		case "write":
			written += entry.Value
		}
	}
	return row{
		"ID": id, "Container": shown, "Name": strings.TrimPrefix(s.Name, "/"), "CPUPerc": percent(cpuPercent(s)),
		"MemUsage": bytesText(used) + " / " + bytesText(float64(s.MemoryStats.Limit)), "MemPerc": percent(share),
		"NetIO":   decimalText(int64(received)) + " / " + decimalText(int64(sent)),
		"BlockIO": decimalText(int64(read)) + " / " + decimalText(int64(written)), "PIDs": fmt.Sprint(s.PidsStats.Current),
	}
}

// cpuPercent is the share of one processor used between two samples; two busy processors are 200 %.
func cpuPercent(s container.StatsResponse) float64 {
	used := float64(s.CPUStats.CPUUsage.TotalUsage) - float64(s.PreCPUStats.CPUUsage.TotalUsage)
	passed := float64(s.CPUStats.SystemUsage) - float64(s.PreCPUStats.SystemUsage)
	processors := float64(s.CPUStats.OnlineCPUs)
	if processors == 0 {
		processors = float64(len(s.CPUStats.CPUUsage.PercpuUsage))
	}
	if used <= 0 || passed <= 0 {
		return 0
	}
	return used / passed * processors * 100
}

// memoryUsed leaves out the page cache that the kernel would give back first: total_inactive_file on cgroup v1, inactive_file on v2.
func memoryUsed(m container.MemoryStats) float64 {
	cache, v1 := m.Stats["total_inactive_file"]
	if !v1 {
		cache = m.Stats["inactive_file"]
	}
	if cache < m.Usage {
		return float64(m.Usage - cache)
	}
	return float64(m.Usage)
}
