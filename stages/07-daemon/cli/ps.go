package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

type psOptions struct {
	all, quiet, noTrunc, size, latest bool
	last                              int
	format                            string
	filter                            filterFlag
}

func newPs(app *App, name string) *cobra.Command {
	o := psOptions{filter: filterFlag{}}
	cmd := &cobra.Command{
		Use: name + " [OPTIONS]", Short: "List containers", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPs(cmd.Context(), app, o) },
	}
	if name == "ls" {
		cmd.Aliases = []string{"ps", "list"}
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.all, "all", "a", false, "Show all containers (default shows just running)")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "Only display container IDs")
	fs.BoolVar(&o.noTrunc, "no-trunc", false, "Don't truncate output")
	fs.BoolVarP(&o.size, "size", "s", false, "Display total file sizes")
	fs.BoolVarP(&o.latest, "latest", "l", false, "Show the latest created container (includes all states)")
	fs.IntVarP(&o.last, "last", "n", -1, "Show n last created containers (includes all states)")
	fs.StringVar(&o.format, "format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
	fs.VarP(o.filter, "filter", "f", "Filter output based on conditions provided")
	return cmd
}

func runPs(ctx context.Context, app *App, o psOptions) error {
	api, err := app.connect()
	if err != nil {
		return err
	}
	want := client.ContainerListOptions{All: o.all, Limit: max(o.last, 0), Size: o.size || strings.Contains(o.format, ".Size"), Filters: client.Filters(o.filter)}
	if o.latest {
		want.Limit = 1
	}
	got, err := api.ContainerList(ctx, want)
	if err != nil {
		return err
	}
	l := listing{
		table:    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
		quiet:    "ID",
		headings: psHeadings(),
	}
	if o.size {
		l.table += "\t{{.Size}}"
	}
	for _, c := range got.Items {
		l.rows = append(l.rows, app.psRow(c, o.noTrunc))
	}
	return l.write(app.Out, o.format, o.quiet)
}

func psHeadings() map[string]string {
	return map[string]string{
		"ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED", "Status": "STATUS",
		"State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Size": "SIZE", "Labels": "LABELS", "Mounts": "MOUNTS",
		"LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS", "Platform": "PLATFORM",
	}
}

func (a *App) psRow(c container.Summary, noTrunc bool) row {
	created := time.Unix(c.Created, 0)
	id := c.ID
	if !noTrunc {
		id = shortID(id)
	}
	var networks []string
	if c.NetworkSettings != nil {
		for name := range c.NetworkSettings.Networks {
			networks = append(networks, name)
		}
		slices.Sort(networks)
	}
	return row{
		labelsField: c.Labels,
		"ID":        id, "Names": namesText(c.Names, noTrunc), "Image": imageText(c.Image, c.ImageID, noTrunc), "Command": quoted(c.Command, noTrunc),
		"CreatedAt": createdAt(created), "RunningFor": a.ago(created), "Status": c.Status, "State": string(c.State), "Ports": portsText(c.Ports),
		"Size": sizeText(c), "Labels": labelsText(c.Labels), "Mounts": mountsText(c.Mounts, noTrunc), "LocalVolumes": localVolumes(c.Mounts),
		"Networks": strings.Join(networks, ","), "Platform": platformOf(c),
	}
}

// namesText strips the slash and leaves out the names that links gave (they have a second slash).
func namesText(names []string, noTrunc bool) string {
	var own []string
	for _, name := range names {
		name = strings.TrimPrefix(name, "/")
		if noTrunc || !strings.Contains(name, "/") {
			own = append(own, name)
		}
	}
	return strings.Join(own, ",")
}

// imageText shortens an image that is only known by its id, and leaves out the digest behind a name.
func imageText(image, id string, noTrunc bool) string {
	if image == "" {
		return "<no image>"
	}
	if !noTrunc && id != "" && shortID(image) == shortID(id) {
		return shortID(image)
	}
	if name, _, digested := strings.Cut(image, "@"); digested && !noTrunc {
		return name
	}
	return image
}

func sizeText(c container.Summary) string {
	text := decimalText(c.SizeRw)
	if c.SizeRootFs > 0 {
		text = fmt.Sprintf("%s (virtual %s)", text, decimalText(c.SizeRootFs))
	}
	return text
}

func mountsText(mounts []container.MountPoint, noTrunc bool) string {
	var names []string
	for _, m := range mounts {
		name := m.Name
		if name == "" {
			name = m.Source
		}
		if !noTrunc {
			name = ellipsis(name, 15)
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

func localVolumes(mounts []container.MountPoint) string {
	count := 0
	for _, m := range mounts {
		if m.Driver == "local" {
			count++
		}
	}
	return fmt.Sprint(count)
}

// platformOf is nothing where the daemon does not tell: `--format json` shows null then, as docker does.
func platformOf(c container.Summary) any {
	if c.ImageManifestDescriptor == nil || c.ImageManifestDescriptor.Platform == nil {
		return nil
	}
	p := c.ImageManifestDescriptor.Platform
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// portsText lists ports in docker's order: first what is only exposed or published under its own number, neighbours folded into
// ranges (`80-82/tcp`, `0.0.0.0:80-81->80-81/tcp`), then each port that is published under another number.
func portsText(ports []container.PortSummary) string {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b container.PortSummary) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), a.IP.Compare(b.IP), cmp.Compare(a.PublicPort, b.PublicPort), strings.Compare(a.Type, b.Type))
	})
	open := map[string]*portSpan{}
	var keys, folded, moved []string
	for _, p := range ports {
		host := ""
		if p.PublicPort > 0 {
			host = hostAddress(p.IP)
		}
		if p.PublicPort > 0 && p.PublicPort != p.PrivatePort {
			moved = append(moved, fmt.Sprintf("%s%d->%d/%s", host, p.PublicPort, p.PrivatePort, p.Type))
			continue
		}
		key := host + "/" + p.Type
		span := open[key]
		if span != nil && span.last+1 == p.PrivatePort {
			span.last++
			continue
		}
		if span != nil {
			folded = append(folded, span.text())
		} else {
			keys = append(keys, key)
		}
		open[key] = &portSpan{p.PrivatePort, p.PrivatePort, host, p.Type}
	}
	for _, key := range keys {
		folded = append(folded, open[key].text())
	}
	return strings.Join(append(folded, moved...), ", ")
}

// portSpan is a run of neighbouring ports.
type portSpan struct {
	first, last    uint16
	host, protocol string
}

func (s portSpan) text() string {
	ports := fmt.Sprint(s.first)
	if s.last != s.first {
		ports += fmt.Sprintf("-%d", s.last)
	}
	if s.host != "" {
		ports = s.host + ports + "->" + ports
	}
	return ports + "/" + s.protocol
}

func hostAddress(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return ""
	case ip.Is6():
		return "[" + ip.String() + "]:"
	}
	return ip.String() + ":"
}
