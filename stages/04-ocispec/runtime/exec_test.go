package runtime_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// exec runs a command in the container c and returns its status.
func (p *place) exec(t *testing.T, change func(*specs.Process), args ...string) (int, error) {
	t.Helper()
	proc, err := p.Exec(t.Context(), runtime.ExecOptions{ID: "c", Process: func(own *specs.Process) (*specs.Process, error) {
		pr := *own
		pr.Args = args
		if change != nil {
			change(&pr)
		}
		return &pr, nil
	}})
	if err != nil {
		return 0, err
	}
	defer proc.Close()
	ws, err := proc.Wait()
	require.NoError(t, err)
	return ws.ExitStatus(), nil
}

func TestExec(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	}))
	require.NoError(t, p.Start(t.Context(), "c"))
	status, err := p.exec(t, func(pr *specs.Process) {
		pr.User, pr.Cwd, pr.Env = specs.User{UID: 1000, GID: 1000}, "/tmp", append(pr.Env, "A=b")
	}, "sh", "-c", `{ id; pwd; echo $A $HOME; test $$ -gt 1 && echo a child of the namespace; grep -E 'CapEff|CapInh|Seccomp:' /proc/self/status; } >/out/out 2>&1; ls /proc/self/fd >>/out/out; exit 9`)
	require.NoError(t, err)
	require.Equal(t, 9, status)
	out, err := os.ReadFile(filepath.Join(p.out, "out"))
	require.NoError(t, err)
	require.Equal(t, "uid=1000(app) gid=1000\n/tmp\nb /home/app\na child of the namespace\nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\nSeccomp:\t2\n0\n1\n2\n3\n", string(out))
	_, err = p.exec(t, nil, "nope")
	require.EqualError(t, err, `unable to start container process: exec: "nope": executable file not found in $PATH`)
	_, err = p.exec(t, nil, "/etc/passwd")
	require.EqualError(t, err, `unable to start container process: exec: "/etc/passwd": permission denied`)
}
