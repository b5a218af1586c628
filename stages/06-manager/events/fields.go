package events

import (
	"strings"

	_ "github.com/containerd/containerd/api/events" // the messages that arrive as Any
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/slipway-engine/slipway/stages/06-manager/filter"
)

// Fields lets a filter look at an envelope: topic, namespace, and any text field
// of the event by its protobuf name, event.container_id for instance.
func Fields(e *types.Envelope) filter.Fields {
	var event protoreflect.Message // unpacked at the first look
	return func(path []string) (string, bool) {
		switch path[0] {
		case "topic":
			return e.GetTopic(), true
		case "namespace":
			return e.GetNamespace(), true
		case "event":
			if event == nil {
				m, err := Unpack(e)
				if err != nil {
					return "", false // a message we do not know has no fields
				}
				event = m.ProtoReflect()
			}
			return field(event, path[1:])
		}
		return "", false
	}
}

// Unpack reads the event of an envelope, if its type is known.
func Unpack(e *types.Envelope) (proto.Message, error) {
	url := e.GetEvent().GetTypeUrl()
	name := protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:])
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return nil, err
	}
	m := t.New().Interface()
	return m, proto.Unmarshal(e.GetEvent().GetValue(), m)
}

// field follows a path through messages and string maps to a text.
func field(m protoreflect.Message, path []string) (string, bool) {
	if len(path) == 0 {
		return "", false
	}
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if fd == nil || fd.IsList() {
		return "", false
	}
	v := m.Get(fd)
	switch {
	case fd.IsMap():
		if fd.MapKey().Kind() != protoreflect.StringKind || fd.MapValue().Kind() != protoreflect.StringKind {
			return "", false
		}
		got := v.Map().Get(protoreflect.ValueOfString(strings.Join(path[1:], ".")).MapKey())
		return got.String(), got.IsValid()
	case fd.Kind() == protoreflect.MessageKind:
		return field(v.Message(), path[1:])
	default:
		return v.String(), len(path) == 1 && m.Has(fd)
	}
}
