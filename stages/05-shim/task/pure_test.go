package task

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
)

func TestStatusOf(t *testing.T) {
	for _, row := range []struct {
		facts facts
		want  task.Status
	}{
		{facts{}, task.Status_CREATED},
		{facts{frozen: true}, task.Status_CREATED},
		{facts{started: true}, task.Status_RUNNING},
		{facts{started: true, frozen: true}, task.Status_PAUSED},
		{facts{started: true, ended: true}, task.Status_STOPPED},
		{facts{started: true, ended: true, frozen: true}, task.Status_STOPPED},
		{facts{ended: true}, task.Status_STOPPED}, // killed before its start
		{facts{ended: true, frozen: true}, task.Status_STOPPED},
	} {
		require.Equal(t, row.want, statusOf(row.facts), "%+v", row.facts)
	}
}

// TestEndSteps is the order of an ending as others rely on it; docs/05-shim.md says the same.
func TestEndSteps(t *testing.T) {
	var names []string
	for _, s := range endSteps() {
		names = append(names, s.name)
	}
	require.Equal(t, []string{
		"refuse new execs",
		"end what shares the host's pids",
		"wait for the execs' endings",
		"deliver the last output",
		"end the sidecar",
		"tell of memory running out",
		"write the exit record",
		"publish the exit",
		"answer those who wait",
	}, names)
}

func TestLeavesWhenLonely(t *testing.T) {
	for _, row := range []struct {
		name string
		f    solitude
		want bool
	}{
		{"created, never started, forgotten", solitude{quiet: LonelyAfter}, true},
		{"not yet", solitude{quiet: LonelyAfter - time.Second}, false},
		{"it holds nothing", solitude{quiet: UselessAfter, useless: true}, true},
		{"its manager may be about to connect", solitude{quiet: UselessAfter - time.Second, useless: true}, false},
		{"it holds nothing, but somebody is connected", solitude{connections: 1, quiet: time.Hour, useless: true}, false},
		{"its bundle was taken away, but a container runs", solitude{running: true, quiet: time.Hour, useless: true}, false},
		{"somebody is connected", solitude{connections: 1, quiet: time.Hour}, false},
		{"a container runs", solitude{running: true, quiet: 1000 * time.Hour}, false},
	} {
		require.Equal(t, row.want, row.f.leaves(), row.name)
	}
}

func TestParseOptions(t *testing.T) {
	packed := func(m *runc.Options) *anypb.Any {
		a, err := pack(m)
		require.NoError(t, err)
		return a
	}
	file := t.TempDir() + "/options.toml"
	require.NoError(t, os.WriteFile(file, []byte("# ours\nBinaryName = \"/bin/crun\"\nSystemdCgroup = true\nIoUid=7\n"), 0o600))
	generic, err := pack(&runtimeoptions.Options{ConfigPath: file})
	require.NoError(t, err)
	for _, row := range []struct {
		name    string
		any     *anypb.Any
		want    Options
		wantErr string
	}{
		{name: "none"},
		{name: "empty", any: &anypb.Any{TypeUrl: "whatever"}},
		{name: "runc", any: packed(&runc.Options{BinaryName: "crun", Root: "/r", NoPivotRoot: true}), want: Options{Program: "crun", Root: "/r", NoPivot: true}},
		{name: "with a host in front", any: &anypb.Any{TypeUrl: "type.googleapis.com/containerd.runc.v1.Options", Value: packed(&runc.Options{Root: "/r"}).Value}, want: Options{Root: "/r"}},
		{name: "generic", any: generic, want: Options{Program: "/bin/crun", SystemdCgroup: true, IoUID: 7}},
		{name: "unknown", any: &anypb.Any{TypeUrl: "x.Options", Value: []byte{1}}, wantErr: `options of type "x.Options"`},
		{name: "broken", any: &anypb.Any{TypeUrl: "containerd.runc.v1.Options", Value: []byte{255}}, wantErr: "options containerd.runc.v1.Options"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseOptions(row.any)
			if row.wantErr != "" {
				require.ErrorContains(t, err, row.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func TestCodes(t *testing.T) {
	gone := &oci.Error{Verb: "kill", Message: "container not running", Err: errors.New("exit status 1")}
	for _, row := range []struct {
		err  error
		want codes.Code
	}{
		{gone, codes.NotFound},
		{fmt.Errorf("around: %w", gone), codes.NotFound},
		{&oci.Error{Verb: "kill", Message: "operation not permitted"}, codes.Unknown},
		{os.ErrProcessDone, codes.NotFound},
		{os.ErrNotExist, codes.NotFound},
		{os.ErrExist, codes.AlreadyExists},
		{errors.New("anything"), codes.Unknown},
	} {
		require.Equal(t, row.want, codeOf(row.err), "%v", row.err)
	}
}

func TestCheckID(t *testing.T) {
	for _, good := range []string{"c1", "a.b_c-d", "0123456789abcdef"} {
		require.NoError(t, checkID("container", good))
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", "-x", "a\x00b", string(make([]byte, 200))} {
		require.Error(t, checkID("container", bad), "%q", bad)
	}
}

func TestLeaveIfLonely(t *testing.T) {
	stopped := 0
	s := New(Config{Stop: func() { stopped++ }, Log: slog.New(slog.DiscardHandler)})
	long := time.Now().Add(-2 * UselessAfter)
	require.False(t, s.LeaveIfLonely(0, time.Now()), "somebody was here just now")
	require.False(t, s.LeaveIfLonely(0, long), "it was started just now")
	s.touched = long
	require.False(t, s.LeaveIfLonely(1, long), "somebody is here")
	s.containers["c1"] = nil
	_, err := s.container("c1")
	require.Equal(t, codes.Unavailable, status.Code(err), "not an answer on which a manager may bury it")
	s.touched = long
	require.False(t, s.LeaveIfLonely(0, long), "a container is being created")
	bundle := filepath.Join(t.TempDir(), "bundle")
	require.NoError(t, os.Mkdir(bundle, 0o700))
	s.containers["c1"] = &container{id: "c1", bundle: bundle, init: &process{}}
	require.False(t, s.LeaveIfLonely(0, long), "a manager that comes back finds this bundle")
	delete(s.containers, "c1")
	require.True(t, s.LeaveIfLonely(0, long))
	require.True(t, s.ShutdownIfEmpty())
	require.Equal(t, 1, stopped, "it leaves once")
}
