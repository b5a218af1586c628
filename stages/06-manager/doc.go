// Package manager is stage 6 of Slipway; see README.md for the one idea and the reading order.
package manager
