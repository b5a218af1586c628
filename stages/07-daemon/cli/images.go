package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type imagesOptions struct {
	all, quiet, noTrunc, digests bool
	format                       string
	filter                       filterFlag
}

func newImages(app *App, name string) *cobra.Command {
	o := imagesOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: name + " [OPTIONS] [REPOSITORY[:TAG]]", Short: "List images", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImages(cmd.Context(), app, o, strings.Join(args, ""))
		},
	}
	if name == "ls" {
		cmd.Aliases = []string{"list"}
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.all, "all", "a", false, "Show all images (default hides intermediate images)")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "Only show image IDs")
	fs.BoolVar(&o.noTrunc, "no-trunc", false, "Don't truncate output")
	fs.BoolVar(&o.digests, "digests", false, "Show digests")
	fs.StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	fs.VarP(o.filter, "filter", "f", "Filter output based on conditions provided")
	return cmd
}

func runImages(ctx context.Context, app *App, o imagesOptions, name string) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	if name != "" {
		client.Filters(o.filter).Add("reference", name)
	}
	got, err := api.ImageList(ctx, client.ImageListOptions{All: o.all, Filters: client.Filters(o.filter)})
	if err != nil {
		return err
	}
	l := listing{
		table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}", quiet: "ID",
		headings: map[string]string{
			"Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
			"Size": "SIZE", "Containers": "CONTAINERS", "VirtualSize": "SIZE", "SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE",
		},
	}
	if o.digests {
		l.table = strings.Replace(l.table, "{{.ID}}", "{{.Digest}}\t{{.ID}}", 1)
	}
	for _, summary := range got.Items {
		l.rows = append(l.rows, app.imageRows(summary, o)...)
	}
	return l.write(app.Out, o.format, o.quiet)
}

// imageRows gives an image one row per tag, or one of <none> when it has no name at all.
func (a *App) imageRows(s image.Summary, o imagesOptions) []row {
	digests := map[string]string{}
	for _, text := range s.RepoDigests {
		if ref, err := reference.ParseNormalizedNamed(text); err == nil {
			if d, ok := ref.(reference.Digested); ok {
				digests[reference.FamiliarName(ref)] = d.Digest().String()
			}
		}
	}
	var rows []row
	tagless := map[string]string{}
	for name, digest := range digests {
		tagless[name] = digest
	}
	for _, text := range s.RepoTags {
		ref, err := reference.ParseNormalizedNamed(text)
		if err != nil {
			continue // "<none>:<none>" of old daemons
		}
		name, tag := reference.FamiliarName(ref), "<none>"
		if t, ok := ref.(reference.Tagged); ok {
			tag = t.Tag()
		}
		delete(tagless, name)
		rows = append(rows, a.imageRow(s, name, tag, digests[name], o))
	}
	for name, digest := range tagless {
		rows = append(rows, a.imageRow(s, name, "<none>", digest, o))
	}
	if len(rows) == 0 {
		rows = append(rows, a.imageRow(s, "<none>", "<none>", "", o))
	}
	return rows
}

func (a *App) imageRow(s image.Summary, name, tag, digest string, o imagesOptions) row {
	id := s.ID
	if !o.noTrunc {
		id = shortID(id)
	}
	if digest == "" || !o.digests && !strings.Contains(o.format, ".Digest") {
		digest = "<none>"
	}
	containers, shared, unique := "N/A", "N/A", "N/A" // -1: the daemon has not counted
	if s.Containers >= 0 {
		containers = strconv.FormatInt(s.Containers, 10)
	}
	if s.SharedSize >= 0 {
		shared, unique = units.HumanSize(float64(s.SharedSize)), units.HumanSize(float64(s.Size-s.SharedSize))
	}
	created := time.Unix(s.Created, 0)
	return row{
		labelsField: s.Labels, "Repository": name, "Tag": tag, "Digest": digest, "ID": id, "CreatedSince": a.ago(created), "CreatedAt": createdAt(created),
		"Size": decimalText(s.Size), "VirtualSize": units.HumanSize(float64(s.Size)), "SharedSize": shared, "UniqueSize": unique, "Containers": containers,
	}
}
