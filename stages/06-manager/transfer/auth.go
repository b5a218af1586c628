package transfer

import (
	"context"
	"encoding/base64"
	"strings"

	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/google/go-containerregistry/pkg/authn"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// options translates what the client wants of the registry.
func (p *puller) options(ctx context.Context) (pull.Options, error) {
	res := p.from.GetResolver()
	o := pull.Options{Progress: func(e pull.Event) { p.progress.step(p.from.GetReference(), e) }}
	if res.GetHostDir() != "" {
		return o, fault.New(fault.Unimplemented, "registry hosts in files (%s) are not supported", res.GetHostDir())
	}
	switch res.GetDefaultScheme() {
	case "http":
		o.PlainHTTP = func(string) bool { return true }
	case "https":
		o.PlainHTTP = func(string) bool { return false }
	}
	if platforms := p.to.GetPlatforms(); len(platforms) == 1 {
		o.Platform = &ocispec.Platform{
			OS: platforms[0].GetOS(), Architecture: platforms[0].GetArchitecture(), Variant: platforms[0].GetVariant(),
		}
	} else if len(platforms) > 1 {
		return o, fault.New(fault.Unimplemented, "pulling %d platforms at once is not supported", len(platforms))
	}
	var err error
	o.Keychain, err = p.keychain(ctx, res)
	return o, err
}

func (p *puller) keychain(ctx context.Context, res *transfertypes.RegistryResolver) (authn.Keychain, error) {
	for name, value := range res.GetHeaders() {
		if !strings.EqualFold(name, "Authorization") {
			return nil, fault.New(fault.Unimplemented, "registry header %s is not supported", name)
		}
		auth, err := parseAuthorization(value)
		return fixed{auth}, err
	}
	if res.GetAuthStream() == "" {
		return nil, nil
	}
	stream, err := p.server.Streams.Get(res.GetAuthStream())
	return &asker{ctx: ctx, stream: stream, reference: p.from.GetReference()}, err
}

// fixed answers every registry with the same: the client names only one.
type fixed struct{ auth authn.AuthConfig }

func (f fixed) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(f.auth), nil
}

// parseAuthorization reads the value of an Authorization header (RFC 9110, 11.6.2).
func parseAuthorization(value string) (authn.AuthConfig, error) {
	scheme, rest, _ := strings.Cut(value, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return authn.AuthConfig{RegistryToken: rest}, nil
	case "basic":
		raw, err := base64.StdEncoding.DecodeString(rest)
		user, secret, ok := strings.Cut(string(raw), ":")
		if err == nil && ok {
			return authn.AuthConfig{Username: user, Password: secret}, nil
		}
	}
	return authn.AuthConfig{}, fault.New(fault.InvalidArgument, "registry header Authorization: neither Basic nor Bearer")
}

// asker asks the client, over the stream it opened, when the registry asks us.
type asker struct {
	ctx       context.Context // of the one transfer that this asker belongs to
	stream    *Stream
	reference string
}

func (a *asker) Resolve(r authn.Resource) (authn.Authenticator, error) {
	var answer transfertypes.AuthResponse
	question := &transfertypes.AuthRequest{Host: r.RegistryStr(), Reference: a.reference}
	if err := a.stream.Ask(a.ctx, question, &answer); err != nil {
		return nil, err
	}
	switch answer.GetAuthType() {
	case transfertypes.AuthType_CREDENTIALS:
		return authn.FromConfig(authn.AuthConfig{Username: answer.GetUsername(), Password: answer.GetSecret()}), nil
	case transfertypes.AuthType_REFRESH:
		return authn.FromConfig(authn.AuthConfig{IdentityToken: answer.GetSecret()}), nil
	case transfertypes.AuthType_HEADER:
		auth, err := parseAuthorization(answer.GetSecret())
		return authn.FromConfig(auth), err
	default:
		return authn.Anonymous, nil
	}
}
