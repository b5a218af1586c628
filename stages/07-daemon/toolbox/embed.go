//go:build embed_toolbox

package toolbox

import _ "embed"

// program is made by `make build` before the daemon: go build -o stages/07-daemon/toolbox/slipway-toolbox ./cmd/slipway-toolbox
//
//go:embed slipway-toolbox
var program []byte

// embedded returns the program that was built into this one.
func embedded() []byte { return program }
