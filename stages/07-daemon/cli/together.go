package cli

import (
	"errors"
	"sync"
)

// errSaid ends one name's turn without its name being printed, and without failing.
var errSaid = errors.New("already said")

// together runs act for all names at once, up to fifty in flight, because stopping takes seconds each. Names are printed in the order
// they were given, each as soon as it and those before it are done.
func (a *App) together(names []string, act func(string) error) error {
	slots := make(chan struct{}, 50)
	results := make([]chan error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		results[i] = make(chan error, 1)
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] <- act(name)
		})
	}
	var failed error
	for i, name := range names {
		err := <-results[i]
		if errors.Is(err, errSaid) {
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		a.println(name)
	}
	all.Wait()
	return failed
}
