package meta

import (
	"encoding/json"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

// Table is one kind of record in one namespace, by key.
type Table[T any] struct {
	kind   string       // for error messages: "image"
	parent *bolt.Bucket // the namespace; nil when there is none
	path   string       // bucket below it, with '/' for a nested one
	codec  codec[T]
}

type codec[T any] interface {
	encode(T) ([]byte, error)
	decode([]byte) (T, error)
}

// Get reads one record.
func (t Table[T]) Get(key string) (T, error) {
	var zero T
	var raw []byte
	if b := t.bucket(); b != nil {
		raw = b.Get([]byte(key))
	}
	if raw == nil {
		return zero, fault.New(fault.NotFound, "%s %q: not found", t.kind, key)
	}
	v, err := t.codec.decode(raw)
	if err != nil {
		return zero, fault.New(fault.DataLoss, "%s %q: record: %w", t.kind, key, err)
	}
	return v, nil
}

// Has says whether there is a record.
func (t Table[T]) Has(key string) bool {
	b := t.bucket()
	return b != nil && b.Get([]byte(key)) != nil
}

// Create writes a record that must be new.
func (t Table[T]) Create(key string, v T) error {
	if t.Has(key) {
		return fault.New(fault.AlreadyExists, "%s %q: already exists", t.kind, key)
	}
	return t.Put(key, v)
}

// Put writes a record, new or not.
func (t Table[T]) Put(key string, v T) error {
	if key == "" {
		return fault.New(fault.InvalidArgument, "%s: name is empty", t.kind)
	}
	raw, err := t.codec.encode(v)
	if err != nil {
		return fmt.Errorf("%s %q: encode: %w", t.kind, key, err)
	}
	b, err := t.makeBucket()
	if err != nil {
		return fmt.Errorf("%s %q: %w", t.kind, key, err)
	}
	return b.Put([]byte(key), raw)
}

// Delete removes a record that must be there.
func (t Table[T]) Delete(key string) error {
	if !t.Has(key) {
		return fault.New(fault.NotFound, "%s %q: not found", t.kind, key)
	}
	return t.bucket().Delete([]byte(key))
}

// Each visits the records in the order of their keys.
func (t Table[T]) Each(fn func(key string, v T) error) error {
	b := t.bucket()
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, raw []byte) error {
		if raw == nil { // a nested bucket, not a record
			return nil
		}
		v, err := t.codec.decode(raw)
		if err != nil {
			return fault.New(fault.DataLoss, "%s %q: record: %w", t.kind, k, err)
		}
		return fn(string(k), v)
	})
}

func (t Table[T]) bucket() *bolt.Bucket {
	b := t.parent
	for _, name := range strings.Split(t.path, "/") {
		if b == nil {
			return nil
		}
		b = b.Bucket([]byte(name))
	}
	return b
}

func (t Table[T]) makeBucket() (*bolt.Bucket, error) {
	b := t.parent
	for _, name := range strings.Split(t.path, "/") {
		var err error
		if b, err = b.CreateBucketIfNotExists([]byte(name)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// textCodec stores a string as itself.
type textCodec struct{}

func (textCodec) encode(s string) ([]byte, error) { return []byte(s), nil }
func (textCodec) decode(b []byte) (string, error) { return string(b), nil }

// jsonCodec stores our own records readably.
type jsonCodec[T any] struct{}

func (jsonCodec[T]) encode(v T) ([]byte, error) { return json.Marshal(v) }
func (jsonCodec[T]) decode(b []byte) (T, error) {
	var v T
	return v, json.Unmarshal(b, &v)
}

// protoCodec stores a published message as it is on the wire.
type protoCodec[M any, P interface {
	*M
	proto.Message
}] struct{}

func (protoCodec[M, P]) encode(v P) ([]byte, error) { return proto.Marshal(v) }
func (protoCodec[M, P]) decode(b []byte) (P, error) {
	v := P(new(M))
	return v, proto.Unmarshal(b, v)
}
