module github.com/slipway-engine/slipway/stages/04-ocispec

go 1.26.8

require (
	github.com/opencontainers/runtime-spec v1.3.0
	github.com/rogpeppe/go-internal v1.16.0
	github.com/slipway-engine/slipway/stages/01-namespaces v0.0.0
	github.com/slipway-engine/slipway/stages/02-cgroups v0.0.0
	github.com/slipway-engine/slipway/stages/03-rootfs v0.0.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.10
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/tools v0.40.1-0.20260108161641-ca281cf95054 // indirect
)

replace (
	github.com/slipway-engine/slipway/stages/01-namespaces => ../01-namespaces
	github.com/slipway-engine/slipway/stages/02-cgroups => ../02-cgroups
	github.com/slipway-engine/slipway/stages/03-rootfs => ../03-rootfs
)
