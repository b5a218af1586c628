package jsonlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func open(t testing.TB, opts Options) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c-json.log")
	f, err := Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f, path
}

var timeField = regexp.MustCompile(`"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"`)

// read gives a log with its times replaced by T, after checking that each is a UTC RFC 3339 time.
func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return timeField.ReplaceAllString(string(data), `"time":"T"`)
}

// The wanted strings were compared with what dockerd 20.10 writes for the same bytes.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for _, row := range []struct {
		name   string
		writes []string
		want   []string // log fields, still escaped
	}{
		{"a line", []string{"hello\n"}, []string{`hello\n`}},
		{"two at once", []string{"a\nb\n"}, []string{`a\n`, `b\n`}},
		{"an empty line", []string{"\n"}, []string{`\n`}},
		{"in pieces", []string{"he", "ll", "o\nw", "orld\n"}, []string{`hello\n`, `world\n`}},
		{"no newline at the end", []string{"a\nb"}, []string{`a\n`, `b`}},
		{"escapes", []string{"\t\"\\\r<>&\x00\x1b\x7f\n"}, []string{`\u0009\"\\\r\u003c\u003e\u0026\u0000\u001b` + "\x7f" + `\n`}},
		{"utf-8", []string{"é\u2028\xff…\n"}, []string{`é\u2028\ufffd…\n`}},
		{"just short of a cut", []string{long[1:] + "\n"}, []string{long[1:] + `\n`}},
		{"exactly a cut", []string{long + "\n"}, []string{long, `\n`}},
		{"two cuts", []string{long + long + "ab\ncd\n"}, []string{long, long, `ab\n`, `cd\n`}},
		{"a cut in pieces", []string{long[5:], "12345", "678\n"}, []string{long[5:] + "12345", `678\n`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, path := open(t, Options{})
			s := f.Stream("stdout")
			for _, w := range row.writes {
				n, err := s.Write([]byte(w))
				require.NoError(t, err)
				require.Equal(t, len(w), n)
			}
			require.NoError(t, s.Flush())
			var want strings.Builder
			for _, l := range row.want {
				want.WriteString(`{"log":"` + l + `","stream":"stdout","time":"T"}` + "\n")
			}
			require.Equal(t, want.String(), read(t, path))
		})
	}
}

func TestPiecesOfOneLineShareItsTime(t *testing.T) {
	f, path := open(t, Options{})
	s := f.Stream("stderr")
	for range 3 {
		_, err := s.Write(bytes.Repeat([]byte("y"), MaxLine))
		require.NoError(t, err)
	}
	_, err := s.Write([]byte("\n"))
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	times := timeField.FindAllString(string(data), -1)
	require.Len(t, times, 4)
	for _, at := range times {
		require.Equal(t, times[0], at)
	}
}

func TestStreamsDoNotMix(t *testing.T) {
	f, path := open(t, Options{})
	out, err := f.Stream("stdout"), f.Stream("stderr")
	write := func(s *Stream, p string) {
		_, err := s.Write([]byte(p))
		require.NoError(t, err)
	}
	write(out, "half ")
	write(err, "error\n")
	write(out, "line\n")
	require.Equal(t, `{"log":"error\n","stream":"stderr","time":"T"}
{"log":"half line\n","stream":"stdout","time":"T"}
`, read(t, path))
}

func TestRotation(t *testing.T) {
	for _, row := range []struct {
		files int
		want  map[string]string // suffix to the numbers of the lines inside
	}{
		{1, map[string]string{"": "10"}},
		{3, map[string]string{"": "10", ".1": "7 8 9", ".2": "4 5 6"}},
		{2, map[string]string{"": "10", ".1": "7 8 9"}},
	} {
		t.Run(fmt.Sprint(row.files, " files"), func(t *testing.T) {
			f, path := open(t, Options{MaxSize: 180, MaxFiles: row.files})
			s := f.Stream("stdout")
			var all strings.Builder
			for i := range 10 {
				fmt.Fprintf(&all, "n=%03d\n", i+1)
			}
			_, err := s.Write([]byte(all.String()))
			require.NoError(t, err)
			got := map[string]string{}
			for _, suffix := range []string{"", ".1", ".2", ".3"} {
				data, err := os.ReadFile(path + suffix)
				if os.IsNotExist(err) {
					continue
				}
				require.NoError(t, err)
				var numbers []string
				for _, m := range regexp.MustCompile(`n=0*(\d+)`).FindAllSubmatch(data, -1) {
					numbers = append(numbers, string(m[1]))
				}
				got[suffix] = strings.Join(numbers, " ")
			}
			require.Equal(t, row.want, got)
		})
	}
}

func TestAFullDiskLosesWholeLines(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs /dev/full")
	}
	f, err := Open("/dev/full", Options{})
	require.NoError(t, err)
	_, err = f.Stream("stdout").Write([]byte("a\nb\n"))
	require.ErrorContains(t, err, "no space left")
	require.EqualValues(t, 2, f.Lost())
	require.NoError(t, f.Close())
}

// FuzzStream: however output is cut into writes, each line of the log is valid JSON and together
// they are the output.
func FuzzStream(f *testing.F) {
	f.Add([]byte("a\nb\x00\xff<&>\u2028\n"), uint16(3), uint64(1))
	f.Add(bytes.Repeat([]byte("z"), 3*MaxLine), uint16(5000), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, most uint16, seed uint64) {
		file, path := open(t, Options{})
		s := file.Stream("stdout")
		random := rand.New(rand.NewPCG(seed, 0))
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(int(most)+1))
			_, err := s.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, s.Flush())
		logged, err := os.ReadFile(path)
		require.NoError(t, err)
		var got strings.Builder
		for line := range strings.Lines(string(logged)) {
			var record struct{ Log, Stream, Time string }
			require.NoError(t, json.Unmarshal([]byte(line), &record))
			got.WriteString(record.Log)
		}
		if utf8.Valid(data) && len(data) < MaxLine {
			require.Equal(t, string(data), got.String())
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "log"), Options{MaxSize: 16 << 20, MaxFiles: 2})
	require.NoError(b, err)
	defer f.Close()
	s := f.Stream("stdout")
	chunk := bytes.Repeat([]byte(strings.Repeat("a line of output ", 6)+"\n"), 630)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := s.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}

// slowEscape is the rule of appendString, one character after the other.
func slowEscape(s []byte) (dst []byte) {
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r < 0x20 || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029':
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return dst
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "plain text of some length", "a\tb<c>&\"\\\x7f\x80", "12345678\x1f2345678", "é\u2028\u2029\xff", "\x20\x1f\x00\x01\x20!<=>?@"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		require.Equal(t, string(slowEscape(s)), string(appendString(nil, s)))
	})
}
