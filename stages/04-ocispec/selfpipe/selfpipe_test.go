package selfpipe_test

import (
	"os"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/selfpipe"
)

func TestSignalsComeAsBytesAndGoBackAfterwards(t *testing.T) {
	before := make(chan os.Signal, 8)
	signal.Notify(before, unix.SIGUSR1)
	defer signal.Stop(before)
	p, err := selfpipe.Open(unix.SIGUSR1, unix.SIGUSR2)
	require.NoError(t, err)
	list, err := p.Next()
	require.NoError(t, err)
	require.Empty(t, list, "none has come")
	for _, s := range []unix.Signal{unix.SIGUSR2, unix.SIGUSR1} {
		require.NoError(t, unix.Kill(os.Getpid(), s))
		ready := []unix.PollFd{{Fd: int32(p.FD()), Events: unix.POLLIN}}
		for n := 0; n == 0; { // a handler may run on this very thread, and interrupt it
			n, err = unix.Poll(ready, 10000)
			require.True(t, err == nil || err == unix.EINTR, "%v", err)
			require.True(t, err != nil || n == 1, "no signal within ten seconds")
		}
		list, err = p.Next()
		require.NoError(t, err)
		require.Equal(t, []unix.Signal{s}, list)
	}
	require.NoError(t, p.Close())
	require.NoError(t, unix.Kill(os.Getpid(), unix.SIGUSR1))
	require.Equal(t, unix.SIGUSR1, <-before)
	list, err = p.Next()
	require.NoError(t, err)
	require.Empty(t, list)
}
