//go:build interop

package interop

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKillsWhileStarting: the daemon and the manager are killed at random moments while containers are started and end.
// Commands may fail; afterwards nothing is left that `docker ps -a` does not show, and what it shows can be removed.
// dockerd 20.10 leaves shims, veths and layers after twelve such kills.
func TestKillsWhileStarting(t *testing.T) {
	if theWorld.target == "docker" {
		t.Skip("needs an engine that leaves nothing behind")
	}
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SLIPWAY_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLIPWAY_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	nothingLeft(t)
	e := theWorld.engine
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for range 2 {
		loops.Go(func() {
			for ctx.Err() == nil {
				_ = e.docker(ctx, "run", "--rm", "-p", "80", theWorld.images.busybox, "true").Run()
			}
		})
	}
	for round := range 12 {
		time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
		both := random.IntN(3) == 0
		if round%2 == 0 || both {
			_ = e.killManager() // it may be between two lives
		}
		if round%2 == 1 || both {
			require.NoError(t, e.killDaemon())
			require.NoError(t, e.start(), "round %d", round)
		}
	}
	time.Sleep(time.Second)
	cancel()
	loops.Wait()
	require.NoError(t, eventually(testPatience, func() error { return e.docker(context.Background(), "ps", "-a").Run() }))
	if left := strings.Fields(must(t, "ps", "-aq")); len(left) > 0 {
		t.Logf("%d containers are known and removed", len(left))
		must(t, append([]string{"rm", "-f"}, left...)...)
	}
	require.Empty(t, must(t, "ps", "-aq"))
	require.Equal(t, "works", must(t, "run", "--rm", theWorld.images.busybox, "echo", "works"))
}
