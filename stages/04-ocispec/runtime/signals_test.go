package runtime_test

import (
	"os/signal"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Whoever starts an engine by nohup(1) does not mean its containers.
func TestAContainerIgnoresNoSignalThatWeIgnore(t *testing.T) {
	p := newPlace(t)
	signal.Ignore(unix.SIGHUP, unix.SIGINT)
	defer signal.Reset(unix.SIGHUP, unix.SIGINT)
	out, status := p.run(t, "busybox grep Sig /proc/self/status >/out/out", nil)
	require.Zero(t, status)
	require.Regexp(t, `SigBlk:\t0{16}\n`, out)
	require.Regexp(t, `SigIgn:\t[0-9a-f]{15}[048c]\n`, out, "bits 0 and 1 are SIGHUP and SIGINT")
}
