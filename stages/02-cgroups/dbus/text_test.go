package dbus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseText(t *testing.T) {
	for text, want := range map[string]any{
		"true":                    true,
		" 5 ":                     int32(5),
		"-5":                      int32(-5),
		"uint64 5":                uint64(5),
		"@t 18446744073709551615": ^uint64(0),
		"byte 0x10":               byte(16),
		"int16 -3":                int16(-3),
		"2.5":                     2.5,
		"1e3":                     1000.0,
		"'a \\'b'":                "a 'b",
		`"x,y"`:                   "x,y",
		"objectpath '/a'":         Path("/a"),
		"['a', 'b']":              []string{"a", "b"},
		"@as []":                  []string{},
		"@au [1, 2]":              []uint32{1, 2},
		"[uint32 7]":              []uint32{7},
		"@ay [1,2]":               []byte{1, 2},
		"[('/dev/x', 'rw')]":      Pairs{{"/dev/x", "rw"}},
		"@a(ss) []":               Pairs{},
		"'multi-user.target'":     "multi-user.target",
	} {
		got, err := ParseText(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		_, err = signature(got)
		require.NoError(t, err, text)
	}
	for _, text := range []string{
		"", "x", "'a", "[1", "[1 2]", "['a', 1]", "byte 256", "byte -1", "@", "@t", "@q 'a'", "true false", "[[1]]", "(1,2)", "[('a')]", "[]", "boolean 1", "[2.5]",
	} {
		_, err := ParseText(text)
		require.Error(t, err, text)
		require.Contains(t, err.Error(), "is no value in GVariant's text format")
	}
}

// FuzzParseText: whatever an annotation says, it is refused or can be sent.
func FuzzParseText(f *testing.F) {
	for _, seed := range []string{"uint64 5", "@as ['a']", "[('a','b')]", "'\\", "[byte 1, 2]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseText(text)
		if err != nil {
			return
		}
		if err := new(encoder).variant(v); err != nil {
			t.Errorf("%q is %#v, which cannot be sent: %v", text, v, err)
		}
	})
}

func TestOutside(t *testing.T) {
	for _, row := range []struct {
		uidMap string
		uid    int
		want   int
	}{
		{"0 0 4294967295\n", 7, 7},
		{"0 1500 1\n1 200000 65536\n", 0, 1500},
		{"0 1500 1\n1 200000 65536\n", 3, 200002},
		{"5 6 1\n", 0, 0},
		{"nonsense\n", 2, 2},
	} {
		require.Equal(t, row.want, outside(row.uidMap, row.uid), row)
	}
}
