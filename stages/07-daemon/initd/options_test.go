package initd

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	with := func(set func(*Options)) Options {
		o := Options{Command: []string{"sh", "-c", "x"}}
		set(&o)
		return o
	}
	expect := func(code int) (codes [256]bool) { codes[code] = true; return codes }
	rows := []struct {
		name string
		args []string
		env  string
		want Options
		err  string
	}{
		{name: "as dockerd calls it", args: []string{"--", "sh", "-c", "x"}, want: with(func(*Options) {})},
		{name: "without --", args: []string{"sh", "-c", "x"}, want: with(func(*Options) {})},
		{name: "joined", args: []string{"-sg", "sh", "-c", "x"}, want: with(func(o *Options) { o.Subreaper, o.Group = true, true })},
		{name: "value in the word", args: []string{"-e143", "sh", "-c", "x"}, want: with(func(o *Options) { o.Expect = expect(143) })},
		{name: "value in the next", args: []string{"-we", "3", "sh", "-c", "x"}, want: with(func(o *Options) { o.Warn, o.Expect = true, expect(3) })},
		{name: "parent", args: []string{"-p", "SIGTERM", "--", "sh", "-c", "x"}, want: with(func(o *Options) { o.Parent = syscall.SIGTERM })},
		{name: "environment", args: []string{"sh", "-c", "x"}, env: "TINI_SUBREAPER", want: with(func(o *Options) { o.Subreaper = true })},
		{name: "nothing", err: "no program named"},
		{name: "nothing after --", args: []string{"-s", "--"}, err: "no program named"},
		{name: "unknown", args: []string{"-sx", "sh"}, err: "unknown option -x"},
		{name: "no code", args: []string{"-e", "256", "sh"}, err: "option -e: 256 is no exit code"},
		{name: "no signal", args: []string{"-p", "SIGNOPE", "sh"}, err: "option -p: SIGNOPE is no signal"},
		{name: "no value", args: []string{"-e"}, err: "option -e wants a value"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := Parse(row.args, func(key string) string {
				if key == row.env {
					return "1"
				}
				return ""
			})
			if row.err != "" {
				require.EqualError(t, err, row.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}
