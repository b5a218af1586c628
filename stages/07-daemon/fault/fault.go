// Package fault makes errors with a kind and exactly the words given to it.
//
// Docker's clients match on the text of a message, so a kind must be able to travel without adding words of its own.
// The kinds are containerd's (errdefs); [Status] is the one table that maps them to HTTP.
package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"
)

// NotFound is answered with 404.
func NotFound(format string, args ...any) error { return of(errdefs.ErrNotFound, format, args) }

// Conflict is answered with 409: the thing exists, and its state or its name forbids the request.
func Conflict(format string, args ...any) error { return of(errdefs.ErrConflict, format, args) }

// Invalid is answered with 400.
func Invalid(format string, args ...any) error { return of(errdefs.ErrInvalidArgument, format, args) }

// NotModified is answered with 304: the state asked for is the state there is.
func NotModified(format string, args ...any) error { return of(errdefs.ErrNotModified, format, args) }

// NotImplemented is answered with 501.
func NotImplemented(format string, args ...any) error {
	return of(errdefs.ErrNotImplemented, format, args)
}

// Forbidden is answered with 403.
func Forbidden(format string, args ...any) error {
	return of(errdefs.ErrPermissionDenied, format, args)
}

// Unavailable is answered with 503.
func Unavailable(format string, args ...any) error { return of(errdefs.ErrUnavailable, format, args) }

// System is answered with 500, like any error without a kind.
func System(format string, args ...any) error { return of(errdefs.ErrInternal, format, args) }

// As gives err another kind and keeps its words and its cause.
func As(kind, err error) error { return &kinded{kind: kind, cause: err, text: err.Error()} }

func of(kind error, format string, args []any) error {
	cause := fmt.Errorf(format, args...)
	return &kinded{kind: kind, cause: errors.Unwrap(cause), text: cause.Error()}
}

type kinded struct {
	kind, cause error
	text        string
}

func (k *kinded) Error() string { return k.text }

func (k *kinded) Unwrap() []error {
	if k.cause == nil {
		return []error{k.kind}
	}
	return []error{k.kind, k.cause}
}

// Status is the table from an error's kind to its HTTP status. A kind that was given here counts before the kinds of
// its causes.
func Status(err error) int {
	if k, ok := errors.AsType[*kinded](err); ok {
		err = k.kind
	}
	for _, row := range []struct {
		kind   error
		status int
	}{
		{errdefs.ErrNotFound, http.StatusNotFound},
		{errdefs.ErrInvalidArgument, http.StatusBadRequest},
		{errdefs.ErrNotModified, http.StatusNotModified},
		{errdefs.ErrConflict, http.StatusConflict},
		{errdefs.ErrAlreadyExists, http.StatusConflict},
		{errdefs.ErrUnauthenticated, http.StatusUnauthorized},
		{errdefs.ErrPermissionDenied, http.StatusForbidden},
		{errdefs.ErrNotImplemented, http.StatusNotImplemented},
		{errdefs.ErrUnavailable, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, row.kind) {
			return row.status
		}
	}
	return http.StatusInternalServerError
}
