// Package cgroups is stage 2 of Slipway; see README.md for the one idea and the reading order.
package cgroups
