package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
)

func newSnapshots(s *session) *cobra.Command {
	var snapshotter string
	cmd := &cobra.Command{Use: "snapshots", Aliases: []string{"snapshot"}, Short: "Layers of file systems, standing on one another"}
	cmd.PersistentFlags().StringVar(&snapshotter, "snapshotter", "overlayfs", "which snapshotter")
	cmd.AddCommand(newSnapshotsList(s, &snapshotter), newSnapshotsTree(s, &snapshotter), newSnapshotsMounts(s, &snapshotter),
		newSnapshotsUsage(s, &snapshotter), newSnapshotsRemove(s, &snapshotter))
	return cmd
}

func listSnapshots(ctx context.Context, c *client.Client, snapshotter string) ([]*snapshotsapi.Info, error) {
	stream, err := c.Snapshots.List(ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: snapshotter})
	if err != nil {
		return nil, err
	}
	var all []*snapshotsapi.Info
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m.GetInfo()...)
	}
}

func kindName(k snapshotsapi.Kind) string {
	name := k.String()
	return name[:1] + strings.ToLower(name[1:])
}

func newSnapshotsList(s *session, snapshotter *string) *cobra.Command {
	cmd := s.verb("ls", "List snapshots", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := listSnapshots(ctx, c, *snapshotter)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, i := range all {
			rows = append(rows, []string{i.GetName(), i.GetParent(), kindName(i.GetKind())})
		}
		return s.table("KEY|PARENT|KIND", rows)
	})
	cmd.Aliases = []string{"list"}
	return cmd
}

func newSnapshotsTree(s *session, snapshotter *string) *cobra.Command {
	return s.verb("tree", "Show what stands on what", cobra.NoArgs, func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := listSnapshots(ctx, c, *snapshotter)
		if err != nil {
			return err
		}
		children := map[string][]string{}
		for _, i := range all {
			children[i.GetParent()] = append(children[i.GetParent()], i.GetName())
		}
		printChildren(s.out, children, "", 0)
		return nil
	})
}

func printChildren(w io.Writer, children map[string][]string, of string, depth int) {
	for _, name := range children[of] {
		mark := ""
		if depth > 0 {
			mark = strings.Repeat("   ", depth-1) + "\\_ "
		}
		fmt.Fprintf(w, " %s%s\n", mark, name)
		printChildren(w, children, name, depth+1)
	}
}

func newSnapshotsMounts(s *session, snapshotter *string) *cobra.Command {
	return s.verb("mounts TARGET KEY", "Print the mount commands that show a snapshot at TARGET", cobra.ExactArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Snapshots.Mounts(ctx, &snapshotsapi.MountsRequest{Snapshotter: *snapshotter, Key: args[1]})
		if err != nil {
			return err
		}
		for _, m := range resp.GetMounts() {
			fmt.Fprintf(s.out, "mount -t %s %s %s", m.GetType(), m.GetSource(), args[0])
			if len(m.GetOptions()) > 0 {
				fmt.Fprintf(s.out, " -o %s", strings.Join(m.GetOptions(), ","))
			}
			fmt.Fprintln(s.out)
		}
		return nil
	})
}

func newSnapshotsUsage(s *session, snapshotter *string) *cobra.Command {
	return s.verb("usage [KEY...]", "Show what snapshots take on disk, each without its parents", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, keys []string) error {
		if len(keys) == 0 {
			all, err := listSnapshots(ctx, c, *snapshotter)
			if err != nil {
				return err
			}
			for _, i := range all {
				keys = append(keys, i.GetName())
			}
		}
		var rows [][]string
		for _, key := range keys {
			u, err := c.Snapshots.Usage(ctx, &snapshotsapi.UsageRequest{Snapshotter: *snapshotter, Key: key})
			if err != nil {
				return err
			}
			rows = append(rows, []string{key, units.BytesSize(float64(u.GetSize())), fmt.Sprint(u.GetInodes())})
		}
		return s.table("KEY|SIZE|INODES", rows)
	})
}

func newSnapshotsRemove(s *session, snapshotter *string) *cobra.Command {
	cmd := s.verb("rm KEY...", "Remove snapshots that nothing stands on", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return each(args, func(key string) error {
			_, err := c.Snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: *snapshotter, Key: key})
			return err
		})
	})
	cmd.Aliases = []string{"delete", "del", "remove"}
	return cmd
}
