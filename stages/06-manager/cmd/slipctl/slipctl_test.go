package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]uint32{"9": 9, "SIGTERM": 15, "term": 15, "kill": 9, "USR1": 10} {
		got, err := parseSignal(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "0", "256", "nope", "-9"} {
		_, err := parseSignal(bad)
		require.Error(t, err, bad)
	}
}

// TestNumericUser: digits are never looked up as a name, and nothing overflows to
// another user (CVE-2024-40635).
func TestNumericUser(t *testing.T) {
	for text, want := range map[string][2]uint32{"": {0, 0}, "1000": {1000, 0}, "1000:50": {1000, 50}} {
		uid, gid, err := numericUser(text)
		require.NoError(t, err, text)
		require.Equal(t, want, [2]uint32{uid, gid}, text)
	}
	for _, bad := range []string{"nobody", "4294967296", "-1", "1:x"} {
		_, _, err := numericUser(bad)
		require.Error(t, err, bad)
	}
}

func TestSpec(t *testing.T) {
	image := ocispec.ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"arg"}, Env: []string{"A=1"}, WorkingDir: "/w", User: "5:6"}
	s, err := spec(runOptions{memory: 64 << 20, env: []string{"B=2"}}, "web", image, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"/entry", "arg"}, s.Process.Args)
	require.Equal(t, "/w", s.Process.Cwd)
	require.EqualValues(t, 5, s.Process.User.UID)
	require.Equal(t, []string{"A=1", "B=2"}, s.Process.Env[1:])
	require.EqualValues(t, 64<<20, *s.Linux.Resources.Memory.Limit)
	require.Equal(t, "/slipway/web", s.Linux.CgroupsPath)
	require.True(t, s.Process.NoNewPrivileges)
	s, err = spec(runOptions{tty: true}, "web", image, []string{"sh"})
	require.NoError(t, err)
	require.Equal(t, []string{"sh"}, s.Process.Args)
	require.Contains(t, s.Process.Env, "TERM=xterm")
	_, err = spec(runOptions{}, "web", ocispec.ImageConfig{}, nil)
	require.ErrorContains(t, err, "names no command")
}

func TestMessage(t *testing.T) {
	require.Equal(t, "image x: not found", message(status.Error(codes.NotFound, "image x: not found")))
	require.Equal(t, "plain", message(errors.New("plain")))
}

func TestDescribe(t *testing.T) {
	c := &containersapi.Container{ID: "web", Spec: &anypb.Any{Value: []byte(`{"a":1}`)}}
	require.Equal(t, json.RawMessage(`{"a":1}`), describe(c).Spec)
	c.Spec.Value = []byte{0xff}
	require.Equal(t, json.RawMessage("null"), describe(c).Spec)
}

// TestHelp: every verb says what it does, and wrong use is an error.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	root := newRoot(streams{os.Stdin, &out, &out})
	for _, cmd := range root.Commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		for _, sub := range cmd.Commands() {
			require.NotEmpty(t, sub.Short, cmd.Name()+" "+sub.Name())
		}
	}
	root.SetArgs([]string{"run", "only-an-image"})
	require.Error(t, root.Execute())
}
