package plan

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/netdev"
)

// netDevices moves the host's network devices in. It stands before the sysctls, which may name them.
func (c *compiler) netDevices() []launch.Step {
	var steps []launch.Step
	for _, name := range slices.Sorted(maps.Keys(c.spec.Linux.NetDevices)) {
		as, title := c.spec.Linux.NetDevices[name].Name, "move network device "+name+" in"
		if as == "" {
			as = name
		} else if as != name {
			title += " as " + as
		}
		steps = append(steps, parent(title, "config-linux.md, Network Devices; rtnetlink(7), IFLA_NET_NS_FD: its addresses stay behind and are given again", func(r *launch.Run) error {
			return moveDevice(r, name, as)
		}))
	}
	return steps
}

func moveDevice(r *launch.Run, name, as string) error {
	ns, err := os.Open("/proc/" + strconv.Itoa(r.PID()) + "/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	left, err := netdev.Move(name, as, ns)
	if left {
		r.Taint()
	}
	if err != nil {
		return fmt.Errorf("linux.netDevices[%s]: %w", name, err)
	}
	return nil
}

// resourceControl puts the child into its class of service, so that all that follows is within it.
func (c *compiler) resourceControl() []launch.Step {
	if c.spec.Linux.IntelRdt == nil {
		return nil
	}
	step := parent("join its class of cache and memory bandwidth", "config-linux.md, Intel RDT; kernel filesystems/resctrl.rst", c.acts.JoinResctrl)
	step.Undo = c.acts.LeaveResctrl
	return []launch.Step{step}
}
