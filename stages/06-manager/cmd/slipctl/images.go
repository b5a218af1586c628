package main

import (
	"context"
	"fmt"
	"strings"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"

	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

func newImages(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "images", Aliases: []string{"image", "i"}, Short: "Names for digests"}
	cmd.AddCommand(newImagesList(s), newImagesPull(s), newImagesRemove(s), newImagesTag(s))
	return cmd
}

func newImagesList(s *session) *cobra.Command {
	var quiet bool
	cmd := s.verb("ls [FILTER...]", "List images", cobra.ArbitraryArgs, func(ctx context.Context, c *client.Client, filters []string) error {
		resp, err := c.Images.List(ctx, &imagesapi.ListImagesRequest{Filters: filters})
		if err != nil {
			return err
		}
		if quiet {
			for _, i := range resp.GetImages() {
				fmt.Fprintln(s.out, i.GetName())
			}
			return nil
		}
		var rows [][]string
		for _, i := range resp.GetImages() {
			size, platforms := "-", "-"
			// An image whose content is not here is listed all the same.
			if img, err := c.ReadImage(ctx, digest.Digest(i.GetTarget().GetDigest())); err == nil {
				size, platforms = units.BytesSize(float64(img.Size)), strings.Join(img.Platforms, ",")
			}
			rows = append(rows, []string{i.GetName(), i.GetTarget().GetMediaType(), i.GetTarget().GetDigest(), size, platforms, labels(i.GetLabels())})
		}
		return s.table("REF|TYPE|DIGEST|SIZE|PLATFORMS|LABELS", rows)
	})
	cmd.Aliases = []string{"list"}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "names only")
	return cmd
}

type pullOptions struct {
	plainHTTP   bool
	snapshotter string
	quiet       bool
}

func newImagesPull(s *session) *cobra.Command {
	var o pullOptions
	cmd := s.verb("pull REF", "Have the manager pull and unpack an image", cobra.ExactArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return runPull(ctx, s, c, o, args[0])
	})
	cmd.Flags().BoolVar(&o.plainHTTP, "plain-http", false, "speak http with the registry")
	cmd.Flags().StringVar(&o.snapshotter, "snapshotter", "overlayfs", "where to unpack")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	return cmd
}

func runPull(ctx context.Context, s *session, c *client.Client, o pullOptions, ref string) error {
	named, err := pull.ParseReference(ref)
	if err != nil {
		return err
	}
	from := &transfertypes.OCIRegistry{Reference: named.String(), Resolver: &transfertypes.RegistryResolver{}}
	if o.plainHTTP {
		from.Resolver.DefaultScheme = "http"
	}
	to := &transfertypes.ImageStore{
		Name: named.String(), Unpacks: []*transfertypes.UnpackConfiguration{{Snapshotter: o.snapshotter}},
	}
	show := func(p *transfertypes.Progress) {
		line := p.GetName() + ": " + p.GetEvent()
		if p.GetTotal() > 0 && p.GetProgress() > 0 {
			line += fmt.Sprintf(" %s/%s", units.BytesSize(float64(p.GetProgress())), units.BytesSize(float64(p.GetTotal())))
		}
		fmt.Fprintln(s.out, line)
	}
	if o.quiet {
		show = nil
	}
	if err := c.Pull(ctx, from, to, show); err != nil {
		return err
	}
	fmt.Fprintln(s.out, named.String())
	return nil
}

func newImagesRemove(s *session) *cobra.Command {
	var sync bool
	cmd := s.verb("rm REF...", "Remove names; the disk is freed when nothing else refers to it", cobra.MinimumNArgs(1), func(ctx context.Context, c *client.Client, args []string) error {
		return each(args, func(name string) error {
			_, err := c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: name, Sync: sync})
			if err == nil {
				fmt.Fprintln(s.out, name)
			}
			return err
		})
	})
	cmd.Aliases = []string{"remove", "delete", "del"}
	cmd.Flags().BoolVar(&sync, "sync", false, "wait until the disk is freed")
	return cmd
}

func newImagesTag(s *session) *cobra.Command {
	return s.verb("tag SOURCE TARGET", "Give an image another name", cobra.ExactArgs(2), func(ctx context.Context, c *client.Client, args []string) error {
		from, err := events.Pack(&transfertypes.ImageStore{Name: args[0]})
		if err != nil {
			return err
		}
		to, err := events.Pack(&transfertypes.ImageStore{Name: args[1]})
		if err != nil {
			return err
		}
		if _, err := c.Transfer.Transfer(ctx, &transferapi.TransferRequest{Source: from, Destination: to}); err != nil {
			return err
		}
		fmt.Fprintln(s.out, args[1])
		return nil
	})
}
