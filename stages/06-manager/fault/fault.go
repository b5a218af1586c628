// Package fault gives an error its kind at the place that knows it. The kinds
// are the words of the gRPC status codes that containerd's services answer
// with, so that clients written for containerd understand ours.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong, for a caller who must decide what to do.
type Kind int

// The kinds. Unknown is the zero value: nobody said.
const (
	Unknown Kind = iota
	InvalidArgument
	NotFound
	AlreadyExists
	FailedPrecondition
	Unavailable
	Unimplemented
	Exhausted
	Denied
	DataLoss
)

// Error is a cause with a kind.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap keeps the cause reachable for errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind; the format may use %w.
func New(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// As gives err a kind; nil stays nil.
func As(k Kind, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Err: err}
}

// KindOf finds the outermost kind in err's chain.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unknown
}

// Is reports whether err has kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
