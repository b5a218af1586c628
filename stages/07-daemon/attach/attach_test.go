package attach

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
)

func openWriter(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestOutputReachesEveryClientUntilTheEnd(t *testing.T) {
	p, err := New(Config{Dir: t.TempDir() + "/io"})
	require.NoError(t, err)
	both, err := p.Join(true, true)
	require.NoError(t, err)
	onlyErr, err := p.Join(false, true)
	require.NoError(t, err)
	out, errs := openWriter(t, p.Path(logs.Stdout)), openWriter(t, p.Path(logs.Stderr))
	_, err = out.WriteString("hello\n")
	require.NoError(t, err)
	_, err = errs.WriteString("oops\n")
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.NoError(t, errs.Close())
	p.Finish()

	var a, b bytes.Buffer
	require.NoError(t, both.Copy(t.Context(), logs.Framer{W: &a, Raw: true}))
	require.NoError(t, onlyErr.Copy(t.Context(), logs.Framer{W: &b, Raw: true}))
	require.Contains(t, a.String(), "hello\n")
	require.Contains(t, a.String(), "oops\n")
	require.Equal(t, "oops\n", b.String())
	require.NoDirExists(t, p.cfg.Dir)
}

// A tee is open only while somebody listens: its writer must see ENXIO otherwise.
func TestTeeIsClosedAfterTheLastClient(t *testing.T) {
	p, err := New(Config{Dir: t.TempDir() + "/io", Tty: true})
	require.NoError(t, err)
	defer p.Finish()
	write := func() error {
		f, err := os.OpenFile(p.Path(logs.Stdout), os.O_WRONLY|0x800 /* O_NONBLOCK */, 0)
		if err == nil {
			_ = f.Close()
		}
		return err
	}
	require.Error(t, write())
	c, err := p.Join(true, false)
	require.NoError(t, err)
	require.NoError(t, write())
	c.Leave()
	require.Eventually(t, func() bool { return write() != nil }, time.Second, time.Millisecond)
}

type sink struct{ strings.Builder }

func (*sink) Close() error { return nil }

func TestPlainPipeIsReadWithoutClients(t *testing.T) {
	to := &sink{}
	p, err := New(Config{Dir: t.TempDir() + "/io", Tty: true, Plain: true, Sinks: map[byte]io.WriteCloser{logs.Stdout: to}})
	require.NoError(t, err)
	w := openWriter(t, p.Path(logs.Stdout))
	_, err = w.WriteString(strings.Repeat("x", 200<<10))
	require.NoError(t, err)
	p.Finish()
	require.Equal(t, 200<<10, to.Len())
}

func TestInputBeforeTheStartIsKept(t *testing.T) {
	closed := 0
	p, err := New(Config{Dir: t.TempDir() + "/io", Stdin: true, CloseStdin: func() error { closed++; return nil }})
	require.NoError(t, err)
	defer p.Finish()
	require.NoError(t, p.WriteStdin([]byte("early")))
	require.NoError(t, p.EndStdin())
	require.Zero(t, closed)
	r, err := os.OpenFile(p.Path(logs.Stdin), os.O_RDONLY, 0)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, p.Started())
	require.Equal(t, 1, closed)
	all, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "early", string(all))
	require.ErrorIs(t, p.WriteStdin([]byte("late")), io.ErrClosedPipe)
}

func TestASlowClientLosesNothingAndALeavingOneBlocksNobody(t *testing.T) {
	p, err := New(Config{Dir: t.TempDir() + "/io", Tty: true, Plain: true})
	require.NoError(t, err)
	slow, err := p.Join(true, false)
	require.NoError(t, err)
	go func() {
		w, err := os.OpenFile(p.Path(logs.Stdout), os.O_WRONLY, 0)
		if err == nil {
			_, _ = w.Write(make([]byte, 2*maxBehind))
			_ = w.Close()
		}
	}()
	require.Eventually(t, func() bool {
		slow.mu.Lock()
		defer slow.mu.Unlock()
		return slow.size > maxBehind
	}, 10*time.Second, time.Millisecond)
	slow.Leave()
	p.Finish()
}

func TestDetachKeys(t *testing.T) {
	keys, err := ParseDetachKeys("")
	require.NoError(t, err)
	require.Equal(t, []byte{16, 17}, keys)
	keys, err = ParseDetachKeys("ctrl-a,x,ctrl-_,ctrl-@")
	require.NoError(t, err)
	require.Equal(t, []byte{1, 'x', 31, 0}, keys)
	_, err = ParseDetachKeys("ctrl-1")
	require.Error(t, err)

	for name, row := range map[string]struct {
		in, out  string
		detached bool
	}{
		"nothing special":   {"hello", "hello", false},
		"the sequence":      {"ls\n\x10\x11more", "ls\n", true},
		"only the first":    {"a\x10b", "a\x10b", false},
		"first, then all":   {"\x10\x10\x11", "\x10", true},
		"second on its own": {"\x11x", "\x11x", false},
	} {
		for _, how := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			t.Run(name, func(t *testing.T) {
				e := &EscapeReader{From: how(strings.NewReader(row.in)), Keys: []byte{16, 17}}
				got, err := io.ReadAll(e)
				require.Equal(t, row.out, string(got))
				require.Equal(t, row.detached, err == ErrDetached)
			})
		}
	}
}
