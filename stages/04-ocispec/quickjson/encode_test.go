package quickjson

import (
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// sameText encodes a value with both packages.
func sameText(t *testing.T, v any) {
	t.Helper()
	want, wantErr := json.Marshal(v)
	got, gotErr := Marshal(v)
	require.Equal(t, wantErr, gotErr)
	require.Equal(t, string(want), string(got))
}

type pointed struct{ n int }

func (p *pointed) MarshalJSON() ([]byte, error) { return json.Marshal(p.n + 1) }

type inner struct{ A, B int }

func TestSameTextAsEncodingJSON(t *testing.T) {
	var none *inner
	for _, v := range []any{
		nil, none, &inner{1, 2},
		inner{},
		struct{}{},
		[]string(nil),
		[]string{},
		[2]int{1, 2},
		[]byte("ab"), "a<b>\"\\\n\u2028é\x7f\xff", true, -1, uint8(200), 1.5, math.NaN(),
		map[string]int{},
		map[string]string{"b": "2", "a&": "1", "": ""},
		map[string]string(nil),
		map[int]string{10: "x", 9: "y", -1: "z"},
		map[inner]int{{}: 1},
		time.Unix(1, 2).UTC(),
		recorded{time.Unix(0, 5), map[int]string{100: "<", 20: "b"}},
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		map[int8]int{1: 1},
		&struct{ P pointed }{pointed{1}},
		struct{ P pointed }{pointed{1}},
		[]pointed{{1}},
		[]any{1, nil, "x", inner{}},
		struct{ inner }{inner{1, 2}},
		struct{ A netip.Addr }{netip.IPv4Unspecified()},
		make(chan int),
		struct{ C func() }{},
		struct {
			A int      `json:"-"`
			B int      `json:"b,string"`
			C []string `json:"c,omitempty"`
		}{1, 2, []string{}},
		struct {
			A int      `json:"-"`
			C int      `json:"c,omitempty"`
			D int      `json:",omitempty"`
			E []string `json:"e,omitempty"`
			F []string
		}{A: 1, D: 3, E: []string{}},
		struct {
			G time.Time      `json:"g,omitempty"`
			H map[string]int `json:"h,omitempty"`
			I *int           `json:"i,omitempty"`
			J any            `json:"j,omitempty"`
			K inner          `json:"k,omitempty"`
			l int
		}{H: map[string]int{}, l: 1},
	} {
		sameText(t, v)
	}
	text, err := os.ReadFile("../plan/testdata/docker.json")
	require.NoError(t, err)
	s := new(specs.Spec)
	require.NoError(t, json.Unmarshal(text, s))
	sameText(t, s)
}
