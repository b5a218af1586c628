//go:build interop

package interop

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain needs the namespaces that the script makes, and says so instead of touching the host.
func TestMain(m *testing.M) {
	target := flag.String("target", "slipway", "the engine: slipway or docker")
	flag.Parse()
	dir := os.Getenv("SLIPWAY_INTEROP")
	if dir == "" {
		fmt.Fprintln(os.Stderr, "interop: start this with interop/run, which makes the namespaces")
		os.Exit(2)
	}
	os.Exit(runSuite(m, dir, *target))
}

// runSuite brings the world up once for all tests.
func runSuite(m *testing.M, dir, target string) int {
	w, err := newWorld(dir, target)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	theWorld = w
	code := m.Run()
	if err := w.close(); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return code
}

// theWorld is made by TestMain before the first test and only read by them.
var theWorld *world
