package pull

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	defaultStall  = 60 * time.Second // without a byte
	maxRetryAfter = 60 * time.Second // longer than that nobody wants to wait
)

// guard stands between the network and all that speaks to one registry, its token server and wherever these send us. It keeps http
// from registries that it was not allowed for, comes back when the registry said so, ends an answer that has stopped
// coming, and reads no more of one than makes sense.
type guard struct {
	inner http.RoundTripper
	host  string
	plain bool          // http is allowed
	stall time.Duration // 0: defaultStall
	blobs bool          // nothing but blobs is asked for

	mu        sync.Mutex
	notBefore time.Time // the registry has asked to be left alone until then (Retry-After)
}

// busyError tells that the registry asked for more patience than we have.
type busyError struct {
	host string
	wait time.Duration
}

func (e *busyError) Error() string {
	return fmt.Sprintf("%s has had too many requests and wants the next in %s", e.host, e.wait.Round(time.Second))
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !g.plain {
		return nil, fmt.Errorf("%s: http is not allowed for this registry", r.URL.Host)
	}
	if err := g.turn(r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	resp, err := g.inner.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if r.URL.Host == g.host {
		g.note(resp)
	}
	resp.Body = watch(ctx, cancel, resp.Body, cmp.Or(g.stall, defaultStall), g.blobs || isBlobRequest(r))
	return resp, nil
}

// turn waits until the registry wants to be asked again.
func (g *guard) turn(r *http.Request) error {
	g.mu.Lock()
	wait := time.Until(g.notBefore)
	g.mu.Unlock()
	switch {
	case wait <= 0 || r.URL.Host != g.host:
		return nil
	case wait > maxRetryAfter:
		return &busyError{g.host, wait}
	}
	select {
	case <-r.Context().Done():
		return r.Context().Err()
	case <-time.After(wait):
		return nil
	}
}

// note reads Retry-After (RFC 9110, 10.2.3): seconds, or a date.
func (g *guard) note(resp *http.Response) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	text, now := resp.Header.Get("Retry-After"), time.Now()
	until, err := http.ParseTime(text)
	if seconds, numErr := strconv.ParseUint(text, 10, 31); numErr == nil {
		until = now.Add(time.Duration(seconds) * time.Second)
	} else if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.notBefore) {
		g.notBefore = until
	}
}

// isBlobRequest tells whether a request, or the one that led to it by redirection, is for a blob: only they are large.
func isBlobRequest(r *http.Request) bool {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

// watched is an answer's body with a limit on how long it may be and how long nothing may come.
type watched struct {
	io.ReadCloser
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
	left   int64 // -1: no limit
}

var errTooLong = errors.New("answer without an end")

func watch(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, stall time.Duration, large bool) *watched {
	why := fmt.Errorf("nothing came for %s", stall)
	w := &watched{ReadCloser: body, ctx: ctx, cancel: cancel, stall: stall, left: maxDocument + 1}
	if large {
		w.left = -1
	}
	w.timer = time.AfterFunc(stall, func() { cancel(why) })
	w.timer.Stop() // runs only while somebody reads
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errTooLong
	}
	if w.left > 0 {
		p = p[:min(int64(len(p)), w.left)]
	}
	w.timer.Reset(w.stall)
	n, err := w.ReadCloser.Read(p)
	if !w.timer.Stop() && err != nil && !errors.Is(err, io.EOF) {
		err = context.Cause(w.ctx)
	}
	if w.left > 0 {
		w.left -= int64(n)
	}
	return n, err
}

func (w *watched) Close() error {
	err := w.ReadCloser.Close()
	w.timer.Stop()
	w.cancel(nil)
	return err
}
