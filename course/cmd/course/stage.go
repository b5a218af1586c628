package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
)

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

// copied is the learner's copy of a stage, if there is one.
func copied(root, stage string) (string, bool) {
	dir := filepath.Join(root, "learn", stage)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return dir, err == nil
}
