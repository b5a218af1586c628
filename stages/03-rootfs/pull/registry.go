package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sys/unix"
)

// registry is one repository of one registry, logged in where that was asked.
type registry struct {
	base   string // "https://HOST/v2/REPOSITORY"
	client *http.Client
	close  func()
}

// connect pings the registry and gets what it wants as proof of who we are. A plain endpoint may speak http, or https that nobody vouches for.
// action is transport.PullScope or PushScope; from are other repositories there that are to be read.
func connect(ctx context.Context, e endpoint, repository string, keychain authn.Keychain, action string, from ...string) (*registry, error) {
	host, plain := e.host, e.plain
	options := []name.Option{name.WeakValidation}
	if plain {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(host+"/"+repository, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReference, err)
	}
	auth := authn.Anonymous
	if keychain != nil {
		if auth, err = keychain.Resolve(repo); err != nil {
			return nil, fmt.Errorf("credentials for %s: %w", host, err)
		}
	}
	t := newTransport(plain)
	guarded := &schemeGuard{inner: t, host: repo.RegistryStr(), plain: plain}
	scopes := []string{repo.Scope(action)}
	for _, other := range from {
		scopes = append(scopes, repo.Registry.Repo(other).Scope(transport.PullScope))
	}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, guarded, scopes)
	if err != nil {
		t.CloseIdleConnections()
		return nil, classify(err)
	}
	return &registry{
		// The transport puts the scheme that the ping found in place of ours.
		base:   "https://" + repo.RegistryStr() + "/v2/" + repo.RepositoryStr(),
		client: &http.Client{Transport: rt}, close: t.CloseIdleConnections,
	}, nil
}

func newTransport(plain bool) *http.Transport {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		MaxIdleConnsPerHost:   8,
		DisableCompression:    true, // blobs are what they are; a digest is of the bytes on the wire
		ReadBufferSize:        64 << 10,
	}
	if plain {
		// A registry that may be spoken to in the clear may as well show a certificate of its own making. What comes is verified by digest.
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	return t
}

// schemeGuard keeps http from a registry that it was not allowed for.
type schemeGuard struct {
	inner http.RoundTripper
	host  string
	plain bool
}

func (g *schemeGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && r.URL.Host == g.host && !g.plain {
		return nil, fmt.Errorf("%s: http is not allowed for this registry", g.host)
	}
	return g.inner.RoundTrip(r)
}

// get asks for a path below the repository. The answer has one of the wanted codes, else it is an error of a known kind.
func (r *registry) get(ctx context.Context, path string, header http.Header, codes ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	return r.do(req, codes...)
}

func (r *registry) do(req *http.Request, codes ...int) (*http.Response, error) {
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, classify(err)
	}
	if err := transport.CheckError(resp, codes...); err != nil {
		resp.Body.Close()
		return nil, classify(err)
	}
	return resp, nil
}

// classify gives an error of the transport its kind.
func classify(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	answer, ok := errors.AsType[*transport.Error](err)
	if !ok {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u // its text names the address once; the ones around it repeat it
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrUnauthorized, err)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", ErrRegistry, err)
}

// patiently tries again what a busy registry refused or a broken connection ended; not where nobody listens, which a mirror or a
// person must hear at once.
func patiently(ctx context.Context, try func() error) error {
	pause := firstPause
	for range attempts - 1 {
		err := try()
		if err == nil || !isTransient(err) || errors.Is(err, unix.ECONNREFUSED) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
	return try()
}

// isTransient tells whether the same request may succeed a moment later.
func isTransient(err error) bool {
	if errors.Is(err, ErrUnreachable) {
		return true
	}
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && (answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests)
}

// IsLoopback tells whether host, HOST or HOST:PORT, is this machine itself: the hosts that Docker speaks http to unasked.
func IsLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
