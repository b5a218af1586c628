package stdio

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		uri     string
		want    Target
		wantErr string
	}{
		{uri: "", want: Target{}},
		{uri: "/run/c/stdout", want: Target{Kind: FIFO, Path: "/run/c/stdout"}},
		{uri: "/run/odd?name#1", want: Target{Kind: FIFO, Path: "/run/odd?name#1"}},
		{uri: "fifo:///run/c/stdout", want: Target{Kind: FIFO, Path: "/run/c/stdout"}},
		{uri: "file:///var/log/a%20b", want: Target{Kind: Plain, Path: "/var/log/a b"}},
		{uri: "binary:///bin/log?b=2&a=1&c", want: Target{Kind: Binary, Path: "/bin/log", Args: []string{"b", "2", "a", "1", "c"}}},
		{
			uri:  "json-file:///l/c-json.log?fifo=/run/f&max-size=10485760&max-file=3",
			want: Target{Kind: JSONFile, Path: "/l/c-json.log", Tee: "/run/f", MaxSize: 10485760, MaxFiles: 3},
		},
		{uri: "json-file:///l/c", want: Target{Kind: JSONFile, Path: "/l/c", MaxFiles: 1}},
		{uri: "none://?fifo=/run/f", want: Target{Kind: None, Tee: "/run/f"}},
		{uri: "none://", want: Target{Kind: None}},
		{uri: "ftp:///x", wantErr: `unknown scheme "ftp"`},
		{uri: "file://relative/x", wantErr: "want file:///absolute/path"},
		{uri: "relative", wantErr: "unknown scheme"},
		{uri: "json-file:///l?max-size=10k", wantErr: `max-size="10k" is not a number of bytes`},
		{uri: "json-file:///l?max-file=0", wantErr: `max-file="0" is not a number of files`},
		{uri: "none://?fifo=f", wantErr: "not absolute"},
		{uri: "json-file://?fifo=/f", wantErr: "not absolute"},
	} {
		t.Run(row.uri, func(t *testing.T) {
			got, err := Parse(row.uri)
			if row.wantErr != "" {
				require.ErrorContains(t, err, row.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("json-file:///l/c?fifo=/f&max-size=1&max-file=2")
	f.Add("binary:///x?a=%zz")
	f.Add("none://?fifo=/x")
	f.Fuzz(func(t *testing.T, uri string) {
		target, err := Parse(uri)
		if err != nil {
			require.Equal(t, Target{}, target)
			return
		}
		switch target.Kind {
		case FIFO, Plain, Binary, JSONFile:
			require.True(t, target.Path[0] == '/')
		}
		if target.Tee != "" {
			require.True(t, target.Tee[0] == '/')
		}
	})
}
