module github.com/slipway-engine/slipway/stages/04-ocispec

go 1.26.8

require (
	github.com/slipway-engine/slipway/stages/01-namespaces v0.0.0
	github.com/slipway-engine/slipway/stages/02-cgroups v0.0.0
	github.com/slipway-engine/slipway/stages/03-rootfs v0.0.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/moby/profiles/seccomp v0.2.3 // indirect
	github.com/moby/sys/user v0.5.0 // indirect
	github.com/opencontainers/runtime-spec v1.3.0 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/spf13/cobra v1.10.2 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/slipway-engine/slipway/stages/01-namespaces => ../01-namespaces
	github.com/slipway-engine/slipway/stages/02-cgroups => ../02-cgroups
	github.com/slipway-engine/slipway/stages/03-rootfs => ../03-rootfs
)
