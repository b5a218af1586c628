// Package pull brings images from a registry into a content store, and from there into snapshots; and back into a registry.
package pull

import (
	"errors"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/03-rootfs/layer"
)

// The kinds of error, for errors.Is. They come wrapped with the image or blob and the cause.
var (
	ErrReference    = errors.New("invalid reference format")
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("access denied")
	ErrUnreachable  = errors.New("registry cannot be reached")
	ErrRegistry     = errors.New("registry answered with an error")
	ErrDigest       = errors.New("content does not match its digest or size")
	ErrManifest     = errors.New("invalid image") // ambiguous, malformed, an unsupported type
	ErrPlatform     = errors.New("no image for this platform")
)

// Phase is what is being done for a blob or an image. The words are those that Docker shows, in lower case.
type Phase string

// The phases in their order.
const (
	Resolving        Phase = "resolving"
	Waiting          Phase = "waiting"
	Downloading      Phase = "downloading"
	DownloadComplete Phase = "download complete"
	Extracting       Phase = "extracting"
	PullComplete     Phase = "pull complete"
	AlreadyExists    Phase = "already exists"

	// Of a push; a blob that the registry has is "already exists" there too.
	Pushing Phase = "pushing"
	Pushed  Phase = "pushed"
	Mounted Phase = "mounted" // from another repository of the same registry
)

// Event is a step forward. Events may come from several goroutines, but never two at once.
type Event struct {
	Digest  digest.Digest // of the blob, "" while resolving
	ID      string        // twelve hex digits of a layer, or the name of the image
	Layer   bool          // the blob is a layer, not a manifest or config
	Phase   Phase
	Current int64 // bytes
	Total   int64 // bytes, 0 when unknown
}

// Options say how to pull. The zero value pulls anonymously for this machine's platform.
type Options struct {
	Platform *ocispec.Platform // nil: this machine's
	Keychain authn.Keychain    // nil: anonymous
	// PlainHTTP tells for which registry hosts (HOST[:PORT]) http may be used. nil: loopback addresses and
	// localhost, as Docker does.
	PlainHTTP func(host string) bool
	// Mirrors are base URLs to try before the registry itself, by registry host ("docker.io").
	Mirrors  map[string][]string
	Progress func(Event) // nil: silent
	Parallel int         // downloads and layers at once; 0: 3
	// StallTimeout ends a connection on which nothing came for so long; what it was for is tried again. 0: a minute.
	StallTimeout time.Duration
	Limits       layer.Limits // what each layer may cost; zeros are the defaults
	// SnapshotLabels are set on each snapshot that Unpack commits.
	SnapshotLabels map[string]string
}

// Image is one image for one platform, all of whose blobs are in the store.
type Image struct {
	Name     string             // canonical: "docker.io/library/alpine:latest"
	Target   ocispec.Descriptor // what the name stands for: an index or the manifest
	Manifest ocispec.Descriptor
	Config   ocispec.Descriptor
	Layers   []ocispec.Descriptor
	DiffIDs  []digest.Digest // digests of the uncompressed layers, bottom first
	Platform ocispec.Platform
}
