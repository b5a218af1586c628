package transfer_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-engine/slipway/stages/06-manager/events"
	"github.com/slipway-engine/slipway/stages/06-manager/transfer"
)

// private serves a registry that wants a password, and an image in it.
func private(t *testing.T) (ref string) {
	t.Helper()
	inner := registry.New()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "me" || pass != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	tag, err := name.NewTag(strings.TrimPrefix(web.URL, "http://") + "/a:1")
	require.NoError(t, err)
	img, err := random.Image(64, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, img, remote.WithAuth(&authn.Basic{Username: "me", Password: "secret"})))
	return tag.String()
}

func TestAuthorizationHeader(t *testing.T) {
	r := newRig(t)
	ref := private(t)
	for secret, want := range map[string]codes.Code{"me:secret": codes.OK, "me:wrong": codes.PermissionDenied, "": codes.PermissionDenied} {
		from := &transfertypes.OCIRegistry{Reference: ref, Resolver: &transfertypes.RegistryResolver{}}
		if secret != "" {
			from.Resolver.Headers = map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(secret))}
		}
		err := r.Pull(r.ctx, from, &transfertypes.ImageStore{Name: "x"}, nil)
		require.Equal(t, want, status.Code(err), "%q: %v", secret, err)
	}
	bad := &transfertypes.OCIRegistry{Reference: ref, Resolver: &transfertypes.RegistryResolver{Headers: map[string]string{"Authorization": "Digest x"}}}
	require.Equal(t, codes.InvalidArgument, status.Code(r.Pull(r.ctx, bad, &transfertypes.ImageStore{}, nil)))
}

// TestAskForPassword: the manager asks the client over the stream that it opened.
func TestAskForPassword(t *testing.T) {
	r := newRig(t)
	ref := private(t)
	stream, err := r.Streaming.Stream(r.ctx)
	require.NoError(t, err)
	hello, err := events.Pack(&streamingapi.StreamInit{ID: "auth"})
	require.NoError(t, err)
	require.NoError(t, stream.Send(hello))
	_, err = stream.Recv()
	require.NoError(t, err)
	asked := make(chan string, 10)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			var q transfertypes.AuthRequest
			if transfer.Unpack(m, &q) != nil {
				return
			}
			asked <- q.GetHost()
			answer, err := events.Pack(&transfertypes.AuthResponse{AuthType: transfertypes.AuthType_CREDENTIALS, Username: "me", Secret: "secret"})
			if err != nil || stream.Send(answer) != nil {
				return
			}
		}
	}()
	from := &transfertypes.OCIRegistry{Reference: ref, Resolver: &transfertypes.RegistryResolver{AuthStream: "auth"}}
	require.NoError(t, r.Pull(r.ctx, from, &transfertypes.ImageStore{Name: "x"}, nil))
	require.Contains(t, ref, <-asked)
}
