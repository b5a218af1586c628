package doctor_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/doctor"
)

func TestReportSaysWhatAReaderAsksFirst(t *testing.T) {
	got := doctor.Report(t.Context(), []doctor.Finding{{Name: "nft", Result: "degraded", Stages: "7", Evidence: "a | b\n"}})
	require.Contains(t, got, "- kernel: ")
	require.Contains(t, got, "| degraded | nft | 7 | a \\| b |\n")
	host, err := os.Hostname()
	require.NoError(t, err)
	if len(host) > 3 {
		require.NotContains(t, got, host)
	}
}
