package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneStyle(t *testing.T) {
	for _, row := range []struct{ name, args, want string }{
		{"two dashes", "--root /r create --bundle /b --pid-file=/p c", "--root /r create --bundle /b --pid-file=/p c"},
		{"one dash", "-root /r -log-format json create -bundle /b -pid-file=/p c", "--root /r --log-format json create --bundle /b --pid-file=/p c"},
		{"a value that is a verb's name", "-log create state c", "--log create state c"},
		{"a value that looks like a flag", "exec -cwd -tty c true", "exec --cwd -tty c true"},
		{"letters", "run -d -b /b c", "run -d -b /b c"},
		{"a letter with two dashes", "list --q", "list -q"},
		{"a letter with its value", "run --b=/b c", "run -b=/b c"},
		{"letters together", "exec -dt -tu 0 c id -root", "exec -dt -tu 0 c id -root"},
		{"a letter's value in the same word", "exec -u0 -env=A=b c id", "exec -u0 --env=A=b c id"},
		{"a whole name before letters", "exec -env A=b -e C=d -tty c id", "exec --env A=b -e C=d --tty c id"},
		{"bools with values", "-debug=false delete -force=true -f=false c", "--debug=false delete --force=true -f=false c"},
		{"the container's own arguments", "exec c ls -root -all --t", "exec c ls -root -all --t"},
		{"behind two dashes", "exec -tty -- c -root", "exec --tty -- c -root"},
		{"global flags behind the verb, as here", "state -root /r c", "state --root /r c"},
		{"help and version", "-version", "--version"},
		{"help of a verb", "run -help", "run --help"},
		{"a letter for help", "run -h", "run -h"},
		{"nobody's", "-rot run -rot c", "-rot run -rot c"},
		{"nobody's letters", "exec -tzz c", "exec -tzz c"},
		{"no verb", "walk -root c", "walk -root c"},
		{"nothing behind it", "create -bundle", "create --bundle"},
		{"odd words", "-=x kill - -- -all", "-=x kill - -- -all"},
		{"nothing", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := strings.Fields(row.args)
			require.Equal(t, strings.Fields(row.want), styled(newRoot(new(global), nil), args))
		})
	}
}

// FuzzOneStyle: no argument is lost or made, and none behind the container's id is touched.
func FuzzOneStyle(f *testing.F) {
	f.Add("-root /r exec -tu 0 c ls -all")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Fields(text)
		got := styled(newRoot(new(global), nil), args)
		require.Len(t, got, len(args))
		for i, a := range got {
			require.Equal(t, strings.TrimLeft(args[i], "-"), strings.TrimLeft(a, "-"))
		}
	})
}
