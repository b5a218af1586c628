package main

import (
	"context"
	"fmt"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
)

func newContainers(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "containers", Aliases: []string{"container", "c"}, Short: "What could run"}
	cmd.AddCommand(newContainersList(s), newContainersInfo(s), newContainersRemove(s))
	return cmd
}

func newContainersList(s *session) *cobra.Command {
	var quiet bool
	cmd := s.verb("ls [FILTER...]", "List containers", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, filters []string) error {
		resp, err := c.Containers.List(ctx, &containersapi.ListContainersRequest{Filters: filters})
		if err != nil {
			return err
		}
		var rows [][]string
		for _, k := range resp.GetContainers() {
			if quiet {
				fmt.Fprintln(s.out, k.GetID())
			}
			image := k.GetImage()
			if image == "" {
				image = "-"
			}
			rows = append(rows, []string{k.GetID(), image, k.GetRuntime().GetName()})
		}
		if quiet {
			return nil
		}
		return s.table("CONTAINER|IMAGE|RUNTIME", rows)
	})
	cmd.Aliases = []string{"list"}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "ids only")
	return cmd
}

func newContainersInfo(s *session) *cobra.Command {
	var spec bool
	cmd := s.verb("info ID", "Show a container's record", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		resp, err := c.Containers.Get(ctx, &containersapi.GetContainerRequest{ID: args[0]})
		if err != nil {
			return err
		}
		if spec {
			return printJSON(s.out, rawSpec(resp.GetContainer()))
		}
		return printJSON(s.out, describe(resp.GetContainer()))
	})
	cmd.Flags().BoolVar(&spec, "spec", false, "only its config.json")
	return cmd
}

func newContainersRemove(s *session) *cobra.Command {
	var keep bool
	cmd := s.verb("rm ID...", "Remove containers and their snapshots", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return each(args, func(id string) error { return removeContainer(ctx, c, id, keep) })
	})
	cmd.Aliases = []string{"delete", "del", "remove"}
	cmd.Flags().BoolVar(&keep, "keep-snapshot", false, "leave the snapshot")
	return cmd
}

func removeContainer(ctx context.Context, c *client.Client, id string, keepSnapshot bool) error {
	resp, err := c.Containers.Get(ctx, &containersapi.GetContainerRequest{ID: id})
	if err != nil {
		return err
	}
	if _, err := c.Containers.Delete(ctx, &containersapi.DeleteContainerRequest{ID: id}); err != nil {
		return err
	}
	k := resp.GetContainer()
	if keepSnapshot || k.GetSnapshotKey() == "" {
		return nil
	}
	_, err = c.Snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: k.GetSnapshotter(), Key: k.GetSnapshotKey()})
	if status.Code(err) == codes.NotFound {
		return nil // the collector was faster
	}
	return err
}
