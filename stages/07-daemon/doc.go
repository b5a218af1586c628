// Package daemon is stage 7 of Slipway; see README.md for the one idea and the reading order.
package daemon
