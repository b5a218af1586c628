package filter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

func TestMatch(t *testing.T) {
	web := Map(map[string]string{"name": "docker.io/library/web:1", "id": "w1"},
		map[string]string{"app.role": "front", "keep": "yes"})
	for _, tc := range []struct {
		name    string
		filters []string
		want    bool
	}{
		{"none matches all", nil, true},
		{"the empty filter matches all", []string{""}, true},
		{"equal", []string{"name==docker.io/library/web:1"}, true},
		{"equal, not", []string{"name==docker.io/library/web"}, false},
		{"quoted value", []string{`name=="docker.io/library/web:1"`}, true},
		{"quoted label", []string{`labels."app.role"==front`}, true},
		{"dotted label", []string{`labels.app.role==front`}, true},
		{"present", []string{"labels.keep"}, true},
		{"absent", []string{"labels.gone"}, false},
		{"not equal also when absent", []string{"labels.gone!=x"}, true},
		{"pattern", []string{"name~=web:[0-9]$"}, true},
		{"pattern in slashes may hold a comma", []string{"name~=/w.b:1{1,2}$/,id==w1"}, true},
		{"all selectors", []string{"id==w1,labels.keep==no"}, false},
		{"one of the filters", []string{"id==x", "id==w1"}, true},
		{"absent equals nothing, not even empty", []string{`gone==""`}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, err := Parse(tc.filters...)
			require.NoError(t, err)
			require.Equal(t, tc.want, set.Match(web))
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{",", "name==", "==x", `name=="x`, "name~=[", "name~=/x", "a b", "name==x,", "name="} {
		_, err := Parse(text)
		require.Error(t, err, text)
		require.Equal(t, fault.InvalidArgument, fault.KindOf(err), text)
	}
}

// FuzzParse: filters come from every client. What parses must match without a panic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "name==x", `labels."a.b"~=/x|y/,id!=3`, `topic~="^/tasks/"`, "a.b.c", `"`, "x~=|["} {
		f.Add(seed)
	}
	fields := Map(map[string]string{"name": "x"}, map[string]string{"a.b": "y"})
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Parse(text)
		if err != nil {
			require.Equal(t, fault.InvalidArgument, fault.KindOf(err))
			return
		}
		set.Match(fields)
	})
}
