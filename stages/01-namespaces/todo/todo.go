// Package todo is what a stub returns, so that a test can tell an exercise that
// nobody has begun from one that is not yet right.
package todo

import (
	"errors"
	"fmt"
)

// NotStarted is the error of an exercise whose stub is still in place.
type NotStarted struct{ Slug string }

func (e *NotStarted) Error() string {
	return fmt.Sprintf("exercise %s is not started: replace the stub", e.Slug)
}

// Exercise stands where a learner's code will stand.
func Exercise(slug string) error { return &NotStarted{slug} }

// Of finds the exercise that err comes from, through any wrapping.
func Of(err error) (slug string, ok bool) {
	e, ok := errors.AsType[*NotStarted](err)
	if !ok {
		return "", false
	}
	return e.Slug, true
}
