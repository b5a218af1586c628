package images

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/streaming/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/containerd/containerd/api/types"
	transfer "github.com/containerd/containerd/api/types/transfer"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// PullRequest is docker pull.
type PullRequest struct {
	Name     reference.Named
	Platform string // OS[/ARCH[/VARIANT]]; empty: this machine's
	Auth     registry.AuthConfig
}

// Pull lets the manager fetch and unpack an image and reports each layer's progress as Docker does.
func (s *Store) Pull(ctx context.Context, req PullRequest, report func(jsonstream.Message)) error {
	p := &pull{store: s, req: req, report: report, layers: map[string]string{}, begun: map[string]bool{}}
	before, _ := s.target(ctx, req.Name.String())
	if before != "" {
		if err := s.keepDangling(ctx, req.Name.String(), before); err != nil {
			return err
		}
	}
	stream, err := p.openStream(ctx)
	if err != nil {
		return err
	}
	if err := p.transfer(ctx, stream); err != nil {
		return pullFault(req.Name, err)
	}
	p.finish()
	after, err := s.target(ctx, req.Name.String())
	if err != nil {
		return err
	}
	if before == after {
		s.dropDangling(ctx, after)
	}
	familiar := reference.FamiliarString(req.Name)
	report(jsonstream.Message{Status: "Digest: " + after})
	if before == after {
		report(jsonstream.Message{Status: "Status: Image is up to date for " + familiar})
		return nil
	}
	report(jsonstream.Message{Status: "Status: Downloaded newer image for " + familiar})
	return nil
}

// target is the digest that a name stands for; empty when there is no such name.
func (s *Store) target(ctx context.Context, name string) (string, error) {
	resp, err := s.c.Images.Get(ctx, &imagesapi.GetImageRequest{Name: name})
	if err != nil {
		return "", err
	}
	return resp.GetImage().GetTarget().GetDigest(), nil
}

// dropDangling takes back the nameless name when the image has kept its own.
func (s *Store) dropDangling(ctx context.Context, target string) {
	_, _ = s.c.Images.Delete(ctx, &imagesapi.DeleteImageRequest{Name: danglingPrefix + target})
}

// pull is one pull under way.
type pull struct {
	store  *Store
	req    PullRequest
	report func(jsonstream.Message)

	mu       sync.Mutex        // guards all below
	announce bool              // the first line was sent
	layers   map[string]string // id → last status
	begun    map[string]bool
}

// openStream opens the conversation on which the manager tells its progress (containerd's streaming service).
func (p *pull) openStream(ctx context.Context) (id string, err error) {
	id = "pull-" + rand.Text()
	stream, err := p.store.c.Streaming.Stream(ctx)
	if err != nil {
		return "", err
	}
	first, err := packed(&streaming.StreamInit{ID: id})
	if err != nil {
		return "", err
	}
	if err := stream.Send(first); err != nil {
		return "", err
	}
	if _, err := stream.Recv(); err != nil { // the other side knows the stream now
		if errdefs.IsNotImplemented(err) || strings.Contains(err.Error(), "unknown service") {
			return "", fault.NotImplemented("this manager does not pull images: it has no transfer service (containerd before 1.7)")
		}
		return "", err
	}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			var progress transfer.Progress
			if proto.Unmarshal(m.GetValue(), &progress) == nil {
				p.step(&progress)
			}
		}
	}()
	return id, nil
}

func (p *pull) transfer(ctx context.Context, stream string) error {
	name := p.req.Name.String()
	from := &transfer.OCIRegistry{Reference: name, Resolver: &transfer.RegistryResolver{}}
	if a := p.req.Auth; a.Username != "" {
		secret := base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
		from.Resolver.Headers = map[string]string{"Authorization": "Basic " + secret}
	}
	to := &transfer.ImageStore{
		Name: name, Unpacks: []*transfer.UnpackConfiguration{{Snapshotter: p.store.c.Snapshotter}},
	}
	platform := p.store.platform
	if p.req.Platform != "" {
		parts := strings.Split(p.req.Platform, "/")
		platform.OS = parts[0]
		if len(parts) > 1 {
			platform.Architecture = parts[1]
		}
		if platform.OS != "linux" || platform.Architecture != p.store.platform.Architecture {
			return fault.NotFound("no matching manifest for %s in the manifest list entries: this engine runs %s/%s only", p.req.Platform, p.store.platform.OS, p.store.platform.Architecture)
		}
	}
	to.Platforms = []*types.Platform{{OS: platform.OS, Architecture: platform.Architecture}}
	to.Unpacks[0].Platform = to.Platforms[0]
	source, err := packed(from)
	if err != nil {
		return err
	}
	destination, err := packed(to)
	if err != nil {
		return err
	}
	_, err = p.store.c.Transfer.Transfer(ctx, &transferapi.TransferRequest{
		Source: source, Destination: destination, Options: &transferapi.TransferOptions{ProgressStream: stream},
	})
	return err
}

func packed(m proto.Message) (*anypb.Any, error) {
	value, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: value}, nil
}

// phases are Docker's words for what the manager tells, ours and containerd's.
func phases() map[string]string {
	return map[string]string{
		"waiting": "Waiting", "downloading": "Downloading", "download complete": "Download complete",
		"extracting": "Extracting", "pull complete": "Pull complete", "already exists": "Already exists",
		"complete": "Download complete", "extracted": "Pull complete", "extract": "Extracting",
	}
}

// step turns one event into lines. Only layers are shown, by the first twelve digits of their digest.
func (p *pull) step(m *transfer.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.GetEvent() == "resolving" {
		return // an image that does not exist must not begin an answer of status 200
	}
	p.announceLocked()
	digest := m.GetDesc().GetDigest()
	status, known := phases()[m.GetEvent()]
	if !strings.HasPrefix(m.GetName(), "layer-") || !known || len(digest) < 19 {
		return
	}
	id := digest[len("sha256:"):][:12]
	if !p.begun[id] && status != "Already exists" {
		p.report(jsonstream.Message{Status: "Pulling fs layer", ID: id, Progress: &jsonstream.Progress{}})
	}
	p.begun[id] = true
	if p.layers[id] == status && (status != "Downloading" && status != "Extracting") || isFinal(p.layers[id]) {
		return
	}
	p.layers[id] = status
	line := jsonstream.Message{Status: status, ID: id, Progress: &jsonstream.Progress{}}
	if status == "Downloading" || status == "Extracting" {
		line.Progress = &jsonstream.Progress{Current: m.GetProgress(), Total: m.GetTotal()}
	}
	p.report(line)
}

func isFinal(status string) bool { return status == "Pull complete" || status == "Already exists" }

func (p *pull) announceLocked() {
	if p.announce {
		return
	}
	p.announce = true
	tag := "latest"
	switch n := p.req.Name.(type) {
	case reference.Canonical:
		tag = n.Digest().String()
	case reference.Tagged:
		tag = n.Tag()
	}
	repo := strings.TrimPrefix(p.req.Name.Name(), "docker.io/")
	p.report(jsonstream.Message{Status: "Pulling from " + repo, ID: tag})
}

// finish marks the layers whose last word was lost on the way as complete: the image is there, so they are.
func (p *pull) finish() {
	time.Sleep(time.Millisecond) // let lines that are under way arrive; their order does not matter
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announceLocked()
	for id, status := range p.layers {
		if !isFinal(status) {
			p.report(jsonstream.Message{Status: "Pull complete", ID: id, Progress: &jsonstream.Progress{}})
			p.layers[id] = "Pull complete"
		}
	}
}

// pullFault gives the errors of a pull Docker's words, which say what to do about them.
func pullFault(name reference.Named, err error) error {
	repo := strings.TrimPrefix(reference.FamiliarName(name), "docker.io/")
	switch {
	case errdefs.IsNotFound(err) && strings.Contains(err.Error(), "platform"):
		return err
	case errdefs.IsNotFound(err):
		return fault.NotFound("manifest for %s not found: manifest unknown: manifest unknown", reference.FamiliarString(name))
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return fault.NotFound("pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", repo)
	}
	return fault.System("%w", err)
}
