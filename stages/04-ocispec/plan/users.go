package plan

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/03-rootfs/idmap"
)

// mappedUsers makes a user namespace with these maps, for mounts.
func mappedUsers(uids, gids []specs.LinuxIDMapping) (*os.File, error) {
	return (&idmap.Map{UIDs: ranges(uids), GIDs: ranges(gids)}).Namespace()
}

func ranges(list []specs.LinuxIDMapping) []idmap.Range {
	out := make([]idmap.Range, len(list))
	for i, m := range list {
		out[i] = idmap.Range{Container: m.ContainerID, Host: m.HostID, Size: m.Size}
	}
	return out
}
