package screen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/screen"
	"github.com/slipway-engine/slipway/course/verdict"
)

var three = []verdict.State{verdict.Done, verdict.NotYetRight, verdict.NotStarted}

func TestBarIsAsWideAsAsked(t *testing.T) {
	require.Equal(t, "xxxxxx>>>>>>......", screen.Screen{}.Bar(three, 18))
	require.Equal(t, "█▓░", screen.Screen{Drawn: true}.Bar(three, 3))
	require.Equal(t, "\x1b[32m█\x1b[0m\x1b[33m▓\x1b[0m\x1b[2m░\x1b[0m", screen.Screen{Drawn: true, Colour: true}.Bar(three, 3))
	for n := 1; n < 30; n++ {
		require.Equal(t, 20, utf8.RuneCountInString(screen.Screen{Drawn: true}.Bar(make([]verdict.State, n), 20)), n)
	}
	require.Equal(t, "    ", screen.Screen{}.Bar(nil, 4))
}

func TestAFileIsWrittenPlainly(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, screen.Screen{Writer: f}, screen.New(f))
	require.Equal(t, "x", screen.New(f).In(screen.Red, "x"))
	require.Equal(t, screen.Screen{Writer: &strings.Builder{}}, screen.New(&strings.Builder{}))
}

func TestFitAndMinutes(t *testing.T) {
	require.Equal(t, "ab  ", screen.Fit("ab", 4))
	require.Equal(t, "abc…", screen.Fit("abcdef", 4))
	require.Equal(t, "25 min", screen.Minutes(25))
	require.Equal(t, "2 h 05", screen.Minutes(125))
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"one two", "three", "and-a-long-word"}, screen.Wrap(" one  two three and-a-long-word", 8))
	require.Equal(t, []string{""}, screen.Wrap("", 8))
}
