// Package course is the tool behind `make stage-N`, `make course` and `make doctor`.
package course
