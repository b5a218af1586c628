package main

import (
	"encoding/json"
	"io"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
)

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "    ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// containerView is a record for reading; the spec is the JSON that the runtime gets.
type containerView struct {
	ID          string
	Labels      map[string]string
	Image       string
	Runtime     string
	Snapshotter string
	SnapshotKey string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Spec        json.RawMessage
}

func describe(c *containersapi.Container) containerView {
	return containerView{
		ID: c.GetID(), Labels: c.GetLabels(), Image: c.GetImage(), Runtime: c.GetRuntime().GetName(),
		Snapshotter: c.GetSnapshotter(), SnapshotKey: c.GetSnapshotKey(),
		CreatedAt: c.GetCreatedAt().AsTime(), UpdatedAt: c.GetUpdatedAt().AsTime(), Spec: rawSpec(c),
	}
}

// rawSpec is null when the record holds something that is no JSON.
func rawSpec(c *containersapi.Container) json.RawMessage {
	if raw := c.GetSpec().GetValue(); json.Valid(raw) {
		return raw
	}
	return json.RawMessage("null")
}
