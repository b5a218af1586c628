// Package interop runs the unmodified docker command and a real registry against an engine: ours, or dockerd to know that the
// suite itself is right. It is started by the script run beside it, which makes the namespaces that it needs.
package interop
