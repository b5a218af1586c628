// Package namespaces is stage 1 of Slipway; see README.md for the one idea and the reading order.
package namespaces
