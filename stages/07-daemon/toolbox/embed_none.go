//go:build !embed_toolbox

package toolbox

// embedded returns nothing: a plain `go build` needs no step before it, and the program is found beside the daemon.
func embedded() []byte { return nil }
