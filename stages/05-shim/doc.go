// Package shim is stage 5 of Slipway; see README.md for the one idea and the reading order.
package shim
