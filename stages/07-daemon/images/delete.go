package images

import (
	"strings"

	"github.com/distribution/reference"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// DeleteRequest is docker rmi: how the image was named, and who uses it.
type DeleteRequest struct {
	Ref              string
	Image            Image
	Force            bool
	Running, Stopped []string // ids of containers made from the image
}

// DeletePlan is what to do: names to remove from the store, what to tell, and whether the image goes with them.
type DeletePlan struct {
	Untag  []string
	Shown  []string
	Delete bool
}

// PlanDelete decides; the texts are Docker's, because people and scripts know them.
func PlanDelete(d DeleteRequest) (DeletePlan, error) {
	short := d.Image.ID.Encoded()[:12]
	name, byName := d.Image.nameFor(d.Ref)
	if byName {
		plan := DeletePlan{Untag: []string{name}, Shown: []string{shown(name)}}
		if len(d.Image.Names) > 1 {
			return plan, nil
		}
		if used := append(d.Running, d.Stopped...); len(used) > 0 && !d.Force {
			return plan, fault.Conflict("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s", d.Ref, used[0][:12], short)
		}
		// Containers keep their image: it loses the name only, and is nameless from then on.
		plan.Delete = len(d.Running)+len(d.Stopped) == 0
		if plan.Delete {
			plan.Shown = append(plan.Shown, d.Image.Digests()...)
		}
		return plan, nil
	}
	switch {
	case len(d.Running) > 0:
		return DeletePlan{}, fault.Conflict("conflict: unable to delete %s (cannot be forced) - image is being used by running container %s", short, d.Running[0][:12])
	case len(d.Stopped) > 0 && !d.Force:
		return DeletePlan{}, fault.Conflict("conflict: unable to delete %s (must be forced) - image is being used by stopped container %s", short, d.Stopped[0][:12])
	case repositories(d.Image) > 1 && !d.Force:
		return DeletePlan{}, fault.Conflict("conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", short)
	}
	return DeletePlan{Untag: d.Image.Names, Shown: append(d.Image.Tags(), d.Image.Digests()...), Delete: true}, nil
}

// nameFor finds the image's name that a reference means; an id is none.
func (i Image) nameFor(ref string) (string, bool) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || strings.HasPrefix(i.ID.String(), ref) || strings.HasPrefix(i.ID.Encoded(), ref) {
		return "", false
	}
	want := reference.TagNameOnly(named).String()
	for _, name := range i.Names {
		if name == want {
			return name, true
		}
	}
	if _, ok := named.(reference.Canonical); ok {
		for _, name := range i.Names {
			if have, err := reference.ParseNormalizedNamed(name); err == nil && have.Name() == named.Name() {
				return name, true
			}
		}
	}
	return "", false
}

func shown(name string) string {
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		return reference.FamiliarString(named)
	}
	return name
}

func repositories(i Image) int {
	seen := map[string]bool{}
	for _, name := range i.Names {
		if named, err := reference.ParseNormalizedNamed(name); err == nil {
			seen[named.Name()] = true
		}
	}
	return len(seen)
}
