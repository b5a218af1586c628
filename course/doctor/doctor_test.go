package doctor_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/doctor"
	"github.com/slipway-engine/slipway/course/exercise"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "probe" {
		evidence, err := doctor.Probe(os.Args[2])
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString(evidence)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestEveryCheckHasAResultWithEvidenceOrARemedy(t *testing.T) {
	all := doctor.Examine(t.Context(), []string{"/proc/self/exe", "probe"})
	require.Len(t, all, len(doctor.Checks()))
	for _, f := range all {
		require.NotEmpty(t, f.Evidence, f.Name)
		require.NotEmpty(t, f.Stages, f.Name)
		require.Equal(t, f.Result != "ok", f.Remedy != "", f.Name)
	}
}

func TestCode(t *testing.T) {
	ok, degraded, missing := doctor.Finding{Result: "ok"}, doctor.Finding{Result: "degraded"}, doctor.Finding{Result: "missing"}
	require.Equal(t, 0, doctor.Code([]doctor.Finding{ok}))
	require.Equal(t, 1, doctor.Code([]doctor.Finding{ok, degraded}))
	require.Equal(t, 2, doctor.Code([]doctor.Finding{missing, degraded}))
}

func TestUnknownCheck(t *testing.T) {
	_, err := doctor.Probe("nonsense")
	require.EqualError(t, err, `no check "nonsense"`)
}

func TestTheExercisesThatALackAffectsExist(t *testing.T) {
	all, err := exercise.Course("../..")
	require.NoError(t, err)
	for _, c := range doctor.Checks() {
		for _, word := range strings.Fields(strings.ReplaceAll(c.Affects, ",", " ")) {
			slug, family := strings.CutSuffix(word, "*")
			if !strings.Contains(slug, ".") {
				continue // a word of the sentence
			}
			require.True(t, slices.ContainsFunc(all, func(e exercise.Exercise) bool {
				return e.Slug == slug || family && strings.HasPrefix(e.Slug, slug)
			}), "%s names %s", c.Name, word)
		}
	}
}
