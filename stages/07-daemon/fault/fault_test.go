package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/require"
)

// Words and kind travel apart: Docker's clients match the words.
func TestKindsAddNoWords(t *testing.T) {
	for status, err := range map[int]error{
		404: NotFound("No such container: %s", "x"), 409: Conflict("x"), 400: Invalid("x"), 304: NotModified("x"),
		501: NotImplemented("x"), 403: Forbidden("x"), 503: Unavailable("x"), 500: System("x"),
	} {
		require.Equal(t, status, Status(err))
		require.Equal(t, status, Status(fmt.Errorf("more: %w", err)))
		require.NotContains(t, err.Error(), "not found")
	}
	require.EqualError(t, NotFound("No such container: %s", "x"), "No such container: x")
	require.Equal(t, 500, Status(errors.New("plain")))
	require.Equal(t, 503, Status(context.DeadlineExceeded))
	require.Equal(t, 404, Status(fmt.Errorf("x: %w", errdefs.ErrNotFound)))
}

func TestCausesAreKept(t *testing.T) {
	err := Invalid("open x: %w", fs.ErrNotExist)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	require.Equal(t, 500, Status(System("x: %w", errdefs.ErrNotFound)), "the outer kind counts")
	require.Equal(t, 409, Status(As(errdefs.ErrConflict, fs.ErrExist)))
}
