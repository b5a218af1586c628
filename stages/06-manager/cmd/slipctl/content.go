package main

import (
	"context"
	"errors"
	"io"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
)

func newContent(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "content", Short: "Blobs by digest"}
	get := s.verb("get DIGEST", "Write a blob to standard output", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return c.Blob(ctx, args[0], s.out)
	})
	remove := s.verb("rm DIGEST...", "Take blobs out of the namespace", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return each(args, func(d string) error {
			_, err := c.Content.Delete(ctx, &contentapi.DeleteContentRequest{Digest: d})
			return err
		})
	})
	remove.Aliases = []string{"delete", "del", "remove"}
	cmd.AddCommand(newContentList(s), get, remove)
	return cmd
}

func newContentList(s *session) *cobra.Command {
	cmd := s.verb("ls [FILTER...]", "List blobs", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, filters []string) error {
		stream, err := c.Content.List(ctx, &contentapi.ListContentRequest{Filters: filters})
		if err != nil {
			return err
		}
		var rows [][]string
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return s.table("DIGEST|SIZE|AGE|LABELS", rows)
			}
			if err != nil {
				return err
			}
			for _, i := range m.GetInfo() {
				age := units.HumanDuration(time.Since(i.GetCreatedAt().AsTime()))
				rows = append(rows, []string{i.GetDigest(), units.HumanSize(float64(i.GetSize())), age, labels(i.GetLabels())})
			}
		}
	})
	cmd.Aliases = []string{"list"}
	return cmd
}
