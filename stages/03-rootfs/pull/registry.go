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
	host    string
	plain   bool   // http is allowed
	base    string // "https://HOST/v2/REPOSITORY"
	client  *http.Client
	foreign *http.Client // for other hosts: it knows no credentials (CVE-2020-15157)
	close   func()
}

// connect pings the registry and gets what it wants as proof of who we are. A plain endpoint may speak http, or https that nobody vouches for.
// action is transport.PullScope or PushScope; from are other repositories there that are to be read.
func (f *fetcher) connect(ctx context.Context, e endpoint, repository, action string, from ...string) (*registry, error) {
	host, plain, keychain := e.host, e.plain, f.options.Keychain
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
	guarded := &guard{inner: t, host: repo.RegistryStr(), plain: plain, stall: f.options.StallTimeout}
	scopes := []string{repo.Scope(action)}
	for _, other := range from {
		scopes = append(scopes, repo.Registry.Repo(other).Scope(transport.PullScope))
	}
	var rt http.RoundTripper
	err = retry(ctx, isBusy, func() (err error) {
		rt, err = transport.NewWithContext(ctx, repo.Registry, auth, guarded, scopes)
		return classify(err)
	})
	if err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	return &registry{
		host: repo.RegistryStr(), plain: plain, foreign: &http.Client{Transport: &guard{inner: t, plain: plain, stall: f.options.StallTimeout, blobs: true}},
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

		MaxResponseHeaderBytes: 1 << 20,
	}
	if plain {
		// A registry that may be spoken to in the clear may as well show a certificate of its own making. What comes is verified by digest.
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	return t
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
	return r.send(r.client, req, codes...)
}

func (r *registry) send(client *http.Client, req *http.Request, codes ...int) (*http.Response, error) {
	resp, err := client.Do(req)
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
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	answer, ok := errors.AsType[*transport.Error](err)
	if !ok {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = withoutQuery(u) // its text names the address once; the ones around it repeat it
		}
		if _, busy := errors.AsType[*busyError](err); busy || errors.Is(err, errTooLong) {
			return fmt.Errorf("%w: %w", ErrRegistry, err)
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

// withoutQuery leaves out of an address what may let others in: a redirection to a store of blobs is signed in its query.
func withoutQuery(e *url.Error) *url.Error {
	u, err := url.Parse(e.URL)
	if err != nil {
		return &url.Error{Op: e.Op, URL: "(an address that is none)", Err: e.Err}
	}
	u.RawQuery, u.User = "", nil
	return &url.Error{Op: e.Op, URL: u.String(), Err: e.Err}
}

// patiently tries again what a busy registry refused or a broken connection ended; not where nobody listens, which a mirror or a
// person must hear at once.
func patiently(ctx context.Context, try func() error) error {
	return retry(ctx, func(err error) bool { return isTransient(err) && !errors.Is(err, unix.ECONNREFUSED) }, try)
}

func retry(ctx context.Context, worthIt func(error) bool, try func() error) error {
	pause := firstPause
	for range attempts - 1 {
		err := try()
		if err == nil || !worthIt(err) {
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
	return errors.Is(err, ErrUnreachable) || isBusy(err)
}

// isBusy tells whether the registry did answer, but not now.
func isBusy(err error) bool {
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
