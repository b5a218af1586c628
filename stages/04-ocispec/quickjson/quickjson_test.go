package quickjson

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// same decodes a text with both packages.
func same[T any](t *testing.T, text []byte) {
	t.Helper()
	want, got := new(T), new(T)
	wantErr, gotErr := json.Unmarshal(text, want), Unmarshal(text, got)
	require.Equal(t, wantErr, gotErr, "%s", text)
	if wantErr == nil {
		require.Equal(t, want, got, "%s", text)
	}
}

// odd are texts at the borders of what the package decodes itself.
func odd() []string {
	return []string{
		`{}`, ` { } `, `null`, `[]`, `{}x`, `{`, ``, `{"hostname":"a","hostname":"b"}`, `{"HOSTNAME":"a"}`, `{"hostname":null,"mounts":null}`,
		`{"hostname":"\u00e9\n\ud83d\ude00"}`, "{\"hostname\":\"\xff\"}", "{\"hostname\":\"a\tb\"}", `{"hostname":"a\x"}`, `{"hostname":1}`,
		`{"process":{"user":{"uid":1.0}}}`, `{"process":{"user":{"uid":-1}}}`, `{"process":{"user":{"uid":4294967296}}}`, `{"process":{"user":{"uid":007}}}`,
		`{"process":{"user":{"uid":1e2}}}`, `{"process":{"oomScoreAdj":-0}}`, `{"process":{"oomScoreAdj":null}}`, `{"process":{"args":[]}}`, `{"process":{"args":["a","b",]}}`,
		`{"annotations":{"a":"1","a":"2","b":null}}`, `{"annotations":{}}`, `{"unknown":{"a":[1,2.5e-3,true,false,null,"x",{"b":[]}]},"hostname":"h"}`,
		`{"linux":{"resources":{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":500,"leafWeight":300}]}}}}`,
		`{"windows":{"credentialSpec":{"a":[1,"b"]}}}`, `{"linux":{"resources":{"unified":{"memory.high":"1"}}}}`, `{"mounts":[null,{"destination":"/x"}]}`,
		`{"mounts":[{"destination":"/x"}],"mounts":[{"source":"y"}]}`, `{"linux":{"namespaces":[{"type":"pid"}]}} `, `{"a":tru}`, `{"a":-}`, `{"a":1.}`, `{"a" 1}`,
	}
}

func TestSameAsEncodingJSON(t *testing.T) {
	for _, text := range odd() {
		same[specs.Spec](t, []byte(text))
	}
	for _, name := range []string{"docker", "everything"} {
		text, err := os.ReadFile("../plan/testdata/" + name + ".json")
		require.NoError(t, err)
		same[specs.Spec](t, text)
		d := &decoder{text: text, structs: map[reflect.Type]*structure{}}
		require.NoError(t, d.document(reflect.ValueOf(new(specs.Spec)).Elem()), "%s.json is left to encoding/json", name)
	}
}

// recorded has what the runtime's records have besides: a time, and a map with numbers as keys.
type recorded struct {
	When time.Time      `json:"when"`
	Late map[int]string `json:"late"`
}

func TestTimesAndNumberedMembers(t *testing.T) {
	for _, text := range []string{
		`{"when":"2026-11-22T07:08:09.123456789Z","late":{"50":"load the filter","-1":"x","+2":"y"}}`, `{"when":"yesterday"}`, `{"when":7}`,
		`{"when":null,"late":null}`, `{"when":"2026-11-22T07:08:09+01:00"}`, `{"when":"2026-11-22T07:08:09\u005a"}`, `{"late":{"a":"x"}}`, `{"late":{"1.0":"x"}}`,
		`{"late":{"99999999999999999999":"x"}}`, `{"late":{"7":"x","07":"y"}}`, `{"late":{"":"x"}}`,
	} {
		same[recorded](t, []byte(text))
	}
}

func FuzzSame(f *testing.F) {
	for _, text := range odd() {
		f.Add([]byte(text))
	}
	text, err := os.ReadFile("../plan/testdata/everything.json")
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) { same[specs.Spec](t, text) })
}

func BenchmarkFirst(b *testing.B) {
	text, err := os.ReadFile("../plan/testdata/docker.json")
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, Unmarshal(text, new(specs.Spec)))
	}
}
