package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/containerd/ttrpc"
)

// tidy keeps an idle shim small, for there is one for every container: from its first quiet moment
// on it collects often, and it gives memory back to the kernel a moment after the last call instead
// of minutes later. Before that, while a container is made, collecting would only cost: many shims
// do not live that long.
type tidy struct{ timer *time.Timer }

const (
	gcPercent = 40
	tidyAfter = 300 * time.Millisecond
)

func newTidy() *tidy {
	return &tidy{timer: time.AfterFunc(tidyAfter, func() {
		debug.SetGCPercent(gcPercent)
		debug.FreeOSMemory()
	})}
}

// after is an interceptor that looks at no request, only at the time it came.
func (t *tidy) after(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, call ttrpc.Method) (any, error) {
	defer t.timer.Reset(tidyAfter)
	return call(ctx, unmarshal)
}
