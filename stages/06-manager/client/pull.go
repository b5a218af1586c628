package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io"

	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

// Pull has the manager pull an image; each step is told to progress, which may be nil.
func (c *Client) Pull(ctx context.Context, from *transfertypes.OCIRegistry, to *transfertypes.ImageStore, progress func(*transfertypes.Progress)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req := &transferapi.TransferRequest{}
	var err error
	if req.Source, err = events.Pack(from); err != nil {
		return err
	}
	if req.Destination, err = events.Pack(to); err != nil {
		return err
	}
	told := make(chan error, 1)
	told <- nil
	if progress != nil {
		id := "progress-" + rand.Text()
		stream, err := c.openStream(ctx, id)
		if err != nil {
			return err
		}
		req.Options = &transferapi.TransferOptions{ProgressStream: id}
		<-told
		go func() { told <- follow(stream, progress) }()
	}
	if _, err := c.Transfer.Transfer(ctx, req); err != nil {
		return err
	}
	return <-told // the server ends the stream after the last step
}

// openStream opens a stream under a name and waits until the name is known.
func (c *Client) openStream(ctx context.Context, id string) (streamingapi.Streaming_StreamClient, error) {
	stream, err := c.Streaming.Stream(ctx)
	if err != nil {
		return nil, err
	}
	hello, err := events.Pack(&streamingapi.StreamInit{ID: id})
	if err != nil {
		return nil, err
	}
	if err := stream.Send(hello); err != nil {
		return nil, err
	}
	_, err = stream.Recv()
	return stream, err
}

func follow(stream streamingapi.Streaming_StreamClient, progress func(*transfertypes.Progress)) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var p transfertypes.Progress
		if err := proto.Unmarshal(m.GetValue(), &p); err != nil {
			return err
		}
		progress(&p)
	}
}
