package plan

import specs "github.com/opencontainers/runtime-spec/specs-go"

// UntilCreated compiles the part of a plan before the start gate alone.
func UntilCreated(s *specs.Spec, facts Facts, req Request) (*Plan, error) {
	c := newCompiler(s, facts, req, Acts{})
	if err := c.openRoot(); err != nil {
		return nil, err
	}
	return c.plan, c.untilCreated()
}
