// Package ocispec is stage 4 of Slipway; see README.md for the one idea and the reading order.
package ocispec
