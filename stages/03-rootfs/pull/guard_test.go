package pull

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers is a network in which all is well.
type answers struct{}

func (answers) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// A redirection from https to http would let anybody on the way answer for a tag, or hear a password.
func TestNoHTTPWhereItIsNotAllowed(t *testing.T) {
	g := &guard{inner: answers{}, host: "example.com"}
	for address, ok := range map[string]bool{"https://example.com/v2/": true, "https://cdn.test/x": true, "http://example.com/v2/": false, "http://cdn.test/x": false} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, err)
		resp, err := g.RoundTrip(r)
		require.Equal(t, ok, err == nil, address)
		if ok {
			require.NoError(t, resp.Body.Close())
		}
	}
}

// What a registry redirects to is signed in its query, and an address may hold a password: neither is in an error (CVE-2019-13509).
func TestCVE_2019_13509_NoSecretsInErrors(t *testing.T) {
	err := classify(&url.Error{Op: "Get", URL: "https://me:secret@cdn.test/blob?X-Amz-Signature=secret", Err: http.ErrHandlerTimeout})
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "https://cdn.test/blob")
	require.NotContains(t, err.Error(), "secret")
}
