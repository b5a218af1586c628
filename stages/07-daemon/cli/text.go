package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// shortID is the first twelve letters of an id, without its algorithm.
func shortID(id string) string {
	if _, hash, ok := strings.Cut(id, ":"); ok {
		id = hash
	}
	return id[:min(12, len(id))]
}

// ellipsis cuts a text to n columns; what was cut shows as one character.
func ellipsis(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	if n <= 1 {
		return string(runes[:n])
	}
	return string(runes[:n-1]) + "…"
}

// quoted is a command as `ps` shows it.
func quoted(command string, noTrunc bool) string {
	if !noTrunc {
		command = ellipsis(command, 20)
	}
	return strconv.Quote(command)
}

// ago is an age in words.
func (a *App) ago(t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return "N/A"
	}
	return units.HumanDuration(a.Now().UTC().Sub(t)) + " ago"
}

// createdAt is the form of times in tables.
func createdAt(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -0700 MST") }

// labelsText joins labels the way tables show them.
func labelsText(labels map[string]string) string {
	return strings.Join(sortedPairs(labels), ",")
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func bytesText(n float64) string { return units.BytesSize(n) }

func decimalText(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func percent(n float64) string { return fmt.Sprintf("%.2f%%", n) }
