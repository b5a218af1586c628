package criu_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
)

func TestARequestIsWrittenAsRPCProtoNumbersIt(t *testing.T) {
	for _, row := range []struct {
		name string
		req  criu.Request
		want string
	}{
		{"version", criu.Request{Type: criu.Version}, "\x08\x0a"},
		{"go on", criu.Request{Type: criu.Notify, NotifySuccess: true}, "\x08\x06\x18\x01"},
		{"features", criu.Request{Type: criu.FeatureCheck, Features: &criu.Features{MemoryTracking: true, LazyPages: true}}, "\x08\x09\x2a\x04\x08\x01\x10\x01"},
		{
			"dump",
			criu.Request{Type: criu.Dump, Options: &criu.Options{
				ImagesDir: 3, LogLevel: 4, PID: 300, LeaveRunning: true, Cgroups: criu.DefaultCgroups, EmptyNamespaces: unix.CLONE_NEWNET,
				ExternalMounts: []criu.Pair{{Key: "/a", Value: "b"}},
			}},
			"\x08\x01\x12\x20\x08\x03\x10\xac\x02\x18\x01\x48\x04\xc0\x01\x01\x90\x02\x06\xb0\x02\x80\x80\x80\x80\x04\xba\x01\x07\x0a\x02/a\x12\x01b",
		},
	} {
		t.Run(row.name, func(t *testing.T) { require.Equal(t, row.want, string(row.req.Marshal())) })
	}
}

func TestAResponseIsRead(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       criu.Response
	}{
		{"version 3.17.1", "\x08\x0a\x10\x01\x52\x06\x08\x03\x10\x11\x20\x01", criu.Response{Type: criu.Version, Success: true, Version: 31701}},
		{"a moment", "\x08\x06\x10\x01\x2a\x10\x0a\x0cpost-restore\x10\x2a", criu.Response{Type: criu.Notify, Success: true, Script: "post-restore", PID: 42}},
		{"restored", "\x08\x02\x10\x01\x22\x03\x08\xac\x02", criu.Response{Type: criu.Restore, Success: true, PID: 300}},
		{"refused", "\x08\x01\x10\x00\x38\x0d\x4a\x03why", criu.Response{Type: criu.Dump, Errno: 13, Message: "why"}},
		{"an unknown field", "\x08\x09\x10\x01\xfa\x07\x01x\x42\x04\x08\x01\x10\x01", criu.Response{Type: criu.FeatureCheck, Success: true, Features: criu.Features{MemoryTracking: true, LazyPages: true}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := criu.Unmarshal([]byte(row.text))
			require.NoError(t, err)
			require.Equal(t, row.want, *got)
		})
	}
	for _, bad := range []string{"\x08", "\x12\x05abc", "\x0d\x01", "\x0b", "\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		_, err := criu.Unmarshal([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte("\x08\x06\x10\x01\x2a\x10\x0a\x0cpost-restore\x10\x2a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := criu.Unmarshal(b); err == nil {
			_ = r.Type.String()
		}
	})
}

// answer plays criu: it reads a packet and sends the next answer, until there is none.
func answer(t *testing.T, socket *os.File, answers ...string) <-chan []string {
	heard := make(chan []string, 1)
	go func() {
		var all []string
		defer func() { heard <- all }()
		defer socket.Close()
		for _, a := range answers {
			buf := make([]byte, 4096)
			n, err := unix.Read(int(socket.Fd()), buf)
			if err != nil {
				return
			}
			all = append(all, string(buf[:n]))
			if err := unix.Send(int(socket.Fd()), []byte(a), 0); err != nil {
				return
			}
		}
	}()
	return heard
}

func TestASession(t *testing.T) {
	ours, theirs, err := criu.Socket()
	require.NoError(t, err)
	defer ours.Close()
	heard := answer(t, theirs, "\x08\x06\x10\x01\x2a\x0b\x0a\x09post-dump", "\x08\x01\x10\x01")
	var moments []string
	r, err := criu.Do(ours, &criu.Request{Type: criu.Dump}, func(r *criu.Response, f *os.File) error {
		moments = append(moments, r.Script)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, criu.Dump, r.Type)
	require.Equal(t, []string{"post-dump"}, moments)
	require.Equal(t, []string{"\x08\x01", "\x08\x06\x18\x01"}, <-heard)
}

func TestASessionThatFails(t *testing.T) {
	for _, row := range []struct{ name, answer, want string }{
		{"refused", "\x08\x01\x10\x00\x38\x0d", "criu failed: type DUMP errno 13"},
		{"garbage", "\xff", "criu: the message ends in the middle of a field"},
		{"another's answer", "\x08\x02\x10\x01", "criu: a response of type RESTORE to a request of type DUMP"},
		{"a moment that goes wrong", "\x08\x06\x10\x01\x2a\x03\x0a\x01x", "criu at x: operation not permitted"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ours, theirs, err := criu.Socket()
			require.NoError(t, err)
			defer ours.Close()
			answer(t, theirs, row.answer)
			_, err = criu.Do(ours, &criu.Request{Type: criu.Dump}, func(*criu.Response, *os.File) error { return unix.EPERM })
			require.EqualError(t, err, row.want)
		})
	}
	ours, theirs, err := criu.Socket()
	require.NoError(t, err)
	defer ours.Close()
	answer(t, theirs) // it dies at once
	_, err = criu.Do(ours, &criu.Request{Type: criu.Version}, nil)
	require.Error(t, err)
}
