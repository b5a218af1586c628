module github.com/slipway-engine/slipway/stages/05-shim

go 1.26.8

require (
	github.com/containerd/cgroups/v3 v3.1.3
	github.com/containerd/containerd/api v1.12.0
	github.com/containerd/ttrpc v1.2.10
	github.com/opencontainers/runtime-spec v1.3.0
	github.com/slipway-engine/slipway/stages/01-namespaces v0.0.0
	github.com/slipway-engine/slipway/stages/02-cgroups v0.0.0
	github.com/slipway-engine/slipway/stages/03-rootfs v0.0.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/sys v0.49.0
	google.golang.org/grpc v1.81.1
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/containerd/log v0.1.0 // indirect
	github.com/containerd/typeurl/v2 v2.3.0 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/sirupsen/logrus v1.10.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260226221140-a57be14db171 // indirect
)

replace github.com/slipway-engine/slipway/stages/02-cgroups => ../02-cgroups

replace github.com/slipway-engine/slipway/stages/03-rootfs => ../03-rootfs

replace github.com/slipway-engine/slipway/stages/01-namespaces => ../01-namespaces
