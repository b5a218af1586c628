// Package task is the shim's service, containerd's Task: it holds containers and the processes in
// them, from Create to Delete.
//
// Read exit.go first: what happens when a process ends is written there once, as a list.
package task
