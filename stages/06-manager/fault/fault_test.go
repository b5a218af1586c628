package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestToGRPC(t *testing.T) {
	cause := errors.New("disk on fire")
	for _, tc := range []struct {
		name string
		err  error
		code codes.Code
		text string
	}{
		{"kind", New(NotFound, "image %s", "x"), codes.NotFound, "image x"},
		{"kind below a wrap", fmt.Errorf("pull x: %w", New(AlreadyExists, "blob y")), codes.AlreadyExists, "pull x: blob y"},
		{"no kind", cause, codes.Unknown, "disk on fire"},
		{"a status passes", status.Error(codes.FailedPrecondition, "not running"), codes.FailedPrecondition, "not running"},
		{"context", fmt.Errorf("wait: %w", context.Canceled), codes.Canceled, "wait: context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ToGRPC(tc.err)
			require.Equal(t, tc.code, status.Code(got))
			require.Equal(t, tc.text, status.Convert(got).Message())
		})
	}
	require.NoError(t, ToGRPC(nil))
	require.ErrorIs(t, As(DataLoss, cause), cause)
	require.True(t, Is(FromGRPC(ToGRPC(New(Exhausted, "full"))), Exhausted))
}
