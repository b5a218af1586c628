package main

import (
	"fmt"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
)

// tool is how a learner runs this program from the checkout's root: a script
// that `course start` puts there.
const tool = learner.Script

// chosen turns "3", "stage-3" or "03-rootfs" into stage folders; none means all.
func chosen(root string, args []string) ([]string, error) {
	all, err := exercise.Stages(root)
	if err != nil || len(args) == 0 {
		return all, err
	}
	var stages []string
	for _, a := range args {
		want := strings.TrimPrefix(a, "stage-")
		n := len(stages)
		for _, s := range all {
			if s == want || strings.HasPrefix(s, "0"+want+"-") {
				stages = append(stages, s)
			}
		}
		if len(stages) == n {
			return nil, fmt.Errorf("no stage %q: there are %s", a, strings.Join(all, ", "))
		}
	}
	return stages, nil
}
