package runtime_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

const (
	gateTitle = "start opens the gate and hears how execve went"
	gateRead  = "docs/04-ocispec.md#start-gate    runtime-spec runtime.md, Start; man 2 accept4"
)

// TestStartGate is the exercise oci.start-gate.
func TestStartGate(t *testing.T) {
	p := newPlace(t)
	bundle := p.bundle(t, "echo ran >/out/out; sleep 1000", nil)
	proc, err := p.Create(t.Context(), runtime.CreateOptions{ID: "probe", Bundle: bundle})
	teach.Begun(t, err)
	require.NoError(t, err)
	defer proc.Close()
	defer func() {
		require.NoError(t, p.Delete(t.Context(), "probe", true))
		_, _ = proc.Wait()
	}()
	time.Sleep(100 * time.Millisecond) // what must not happen needs time not to happen
	require.NoFileExists(t, filepath.Join(p.out, "out"), "the step before this one waits until somebody knocks")
	startReturns(t, p)
	execveFails(t)
}

// startReturns starts a program that goes on running: start must not wait for its end.
func startReturns(t *testing.T, p *place) {
	t.Helper()
	started := make(chan error, 1)
	go func() { started <- p.Start(t.Context(), "probe") }()
	select {
	case err := <-started:
		if err != nil && p.wait(t, "out") == "ran" {
			nobodyAnswered(t, err)
		}
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		require.NoError(t, p.Kill(t.Context(), "probe", unix.SIGKILL, false))
		<-started
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.start-gate", Code: "OCI-GATE-2", Title: gateTitle,
			Did:   "started a container that sleeps for long",
			Saw:   "start still waits after 5 s; it came back when the program was killed",
			Want:  "start returns as soon as the program runs",
			Means: "start waits until the connection is closed, and takes that for success. The connection has survived execve: the program holds it now, without knowing. A descriptor that is meant for this side of execve alone has a flag that says so.",
			Try:   "ls -l /proc/PID/fd of the container's process: a socket that is none of 0, 1 and 2",
			Read:  gateRead,
		})
	}
}

func nobodyAnswered(t *testing.T, err error) {
	t.Helper()
	teach.Fail(t, teach.Diagnosis{
		Exercise: "oci.start-gate", Code: "OCI-GATE-3", Title: gateTitle,
		Did:   "started a container whose program writes a file",
		Saw:   "start says: " + err.Error() + "; and the file is there: the program has run",
		Want:  "start says nothing, and the program runs",
		Means: "start has knocked, and nobody let it in. The step before yours only waits until somebody is at the gate; the listening socket was then closed with start still outside, and to start that looks as if the process had died in front of the gate. Whoever is let in has a connection of his own, which must live until execve.",
		Try:   "strace -f -e connect,accept4,read,close slipway-runtime start ID",
		Read:  gateRead,
	})
}

// execveFails starts something that is no program.
func execveFails(t *testing.T) {
	t.Helper()
	p := newPlace(t)
	bundle := p.bundle(t, "", func(s *specs.Spec) { s.Process.Args = []string{"/bin/garbage"} })
	require.NoError(t, os.WriteFile(filepath.Join(bundle, "rootfs/bin/garbage"), []byte("\x00\x01 no program"), 0o755))
	p.create(t, bundle)
	err := p.Start(t.Context(), "c")
	if err == nil {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.start-gate", Code: "OCI-GATE-1", Title: gateTitle,
			Did:   "started a container whose program is a file of two odd bytes",
			Saw:   "start says nothing, as if all were well; and no program runs",
			Want:  `exec: "/bin/garbage": exec format error`,
			Means: "the child reported its failure, but to whom? Until create returned, that was create. Now somebody else has connected, and is waiting at the other end of the accepted socket.",
			Try:   "strace -f -e accept4,execve,sendto slipway-runtime run ID",
			Read:  gateRead,
		})
	}
	require.EqualError(t, err, `unable to start container process: exec: "/bin/garbage": exec format error`)
	require.ErrorIs(t, err, unix.ENOEXEC, "the errno has crossed from the container's process to whoever called start")
}
