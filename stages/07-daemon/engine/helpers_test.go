package engine_test

import (
	"strconv"

	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
)

type managerTask = manager.Task

func itoa(n int) string { return strconv.Itoa(n) }
