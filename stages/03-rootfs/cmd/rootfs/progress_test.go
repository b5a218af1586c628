package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/slipway-engine/slipway/stages/03-rootfs/pull"
	"github.com/stretchr/testify/require"
)

func TestProgress(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	events := []pull.Event{
		{ID: "app", Phase: pull.Resolving},
		{Digest: a, ID: "aaa", Layer: true, Phase: pull.Waiting, Total: 100},
		{Digest: b, ID: "bbb", Layer: true, Phase: pull.AlreadyExists, Total: 7},
		{Digest: a, ID: "aaa", Layer: true, Phase: pull.Downloading, Current: 50, Total: 100},
		{Digest: a, ID: "aaa", Layer: true, Phase: pull.Extracting, Total: 100},
		{Digest: a, ID: "aaa", Layer: true, Phase: pull.PullComplete, Total: 100},
	}
	var file, terminal bytes.Buffer
	plain, live := newProgress(&file), newProgress(&terminal)
	live.live = true
	for _, e := range events {
		plain.show(e)
		live.show(e)
	}
	lines := "app: resolving\nbbb: already exists\naaa: pull complete (100B)\n"
	require.Equal(t, lines, file.String())
	var shown []string
	for part := range strings.SplitSeq(terminal.String(), "\r\x1b[K") {
		if part != "" {
			shown = append(shown, part)
		}
	}
	require.Equal(t, []string{"app: resolving\n", "waiting 1  ", "bbb: already exists\n", "waiting 1  ", "50B of 100B  downloading 1  ", "extracting 1  ", "aaa: pull complete (100B)\n"}, shown)
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "?[2Jé x", printable("\x1b[2Jé x"))
}
