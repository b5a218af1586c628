package meta

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func open(t *testing.T) *DB {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "meta.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func image(name string) *images.Image {
	return &images.Image{Name: name, Target: &types.Descriptor{Digest: someDigest, Size: 1}}
}

func TestTable(t *testing.T) {
	db := open(t)
	img := image("a")
	require.NoError(t, db.Update("one", func(tx *Tx) error { return tx.Images().Create("a", img) }))
	require.NoError(t, db.View("one", func(tx *Tx) error {
		got, err := tx.Images().Get("a")
		require.True(t, proto.Equal(img, got), "%v", got)
		return err
	}))
	for _, tc := range []struct {
		name string
		ns   string
		act  func(*Tx) error
		kind fault.Kind
	}{
		{"create twice", "one", func(tx *Tx) error { return tx.Images().Create("a", img) }, fault.AlreadyExists},
		{"delete what is not there", "one", func(tx *Tx) error { return tx.Images().Delete("b") }, fault.NotFound},
		{"another namespace does not see it", "two", func(tx *Tx) error { _, err := tx.Images().Get("a"); return err }, fault.NotFound},
		{"an empty name", "one", func(tx *Tx) error { return tx.Images().Put("", img) }, fault.InvalidArgument},
		{"a namespace that leaves its directory", "../x", func(*Tx) error { return nil }, fault.InvalidArgument},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.kind, fault.KindOf(db.Update(tc.ns, tc.act)))
		})
	}
	require.NoError(t, db.View("nowhere", func(tx *Tx) error {
		require.False(t, tx.Images().Has("a"))
		return tx.Images().Each(func(string, *images.Image) error { t.Fatal("a record in no namespace"); return nil })
	}))
	require.Empty(t, db.Check())
}

// TestModel does random things to the file and to a map, and compares.
func TestModel(t *testing.T) {
	db := open(t)
	model := map[string]Lease{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		id := string(rune('a' + r.IntN(6)))
		lease := Lease{ID: id, Resources: []Resource{{Type: "content", ID: string(rune('0' + r.IntN(10)))}}}
		_, have := model[id]
		switch r.IntN(4) {
		case 0:
			err := db.Update("ns", func(tx *Tx) error { return tx.Leases().Create(id, lease) })
			require.Equal(t, have, fault.Is(err, fault.AlreadyExists))
			if !have {
				model[id] = lease
			}
		case 1:
			err := db.Update("ns", func(tx *Tx) error { return tx.Leases().Delete(id) })
			require.Equal(t, !have, fault.Is(err, fault.NotFound))
			delete(model, id)
		case 2: // a transaction that fails leaves no trace
			err := db.Update("ns", func(tx *Tx) error {
				if err := tx.Leases().Put(id, Lease{ID: "wrong"}); err != nil {
					return err
				}
				return fault.New(fault.Unavailable, "changed my mind")
			})
			require.True(t, fault.Is(err, fault.Unavailable))
		default:
			require.NoError(t, db.Update("ns", func(tx *Tx) error { return tx.Leases().Put(id, lease) }))
			model[id] = lease
		}
		got := map[string]Lease{}
		require.NoError(t, db.View("ns", func(tx *Tx) error {
			return tx.Leases().Each(func(k string, v Lease) error { got[k] = v; return nil })
		}))
		require.Equal(t, model, got)
	}
	require.Empty(t, db.Check())
}

func TestDeleteNamespace(t *testing.T) {
	db := open(t)
	require.True(t, fault.Is(db.DeleteNamespace("ns"), fault.NotFound))
	require.NoError(t, db.Update("ns", func(tx *Tx) error {
		return tx.Snapshots("overlayfs").Create("s", Snapshot{Name: "s", Backend: "b"})
	}))
	err := db.DeleteNamespace("ns")
	require.True(t, fault.Is(err, fault.FailedPrecondition))
	require.ErrorContains(t, err, "snapshots/overlayfs")
	require.NoError(t, db.Update("ns", func(tx *Tx) error { return tx.Snapshots("overlayfs").Delete("s") }))
	require.NoError(t, db.DeleteNamespace("ns"))
}

// TestCheck: every rule of Check can be broken, and it says so.
func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name string
		harm func(*Tx) error
		says string
	}{
		{"name", func(tx *Tx) error { return tx.Images().Put("a", image("b")) }, `image "a" says its name is "b"`},
		{"digest", func(tx *Tx) error { return tx.Images().Put("a", &images.Image{Name: "a"}) }, "digest"},
		{"parent", func(tx *Tx) error {
			return tx.Snapshots("o").Put("a", Snapshot{Name: "a", Parent: "gone", Backend: "x"})
		}, `stands on "gone"`},
		{"backend", func(tx *Tx) error {
			if err := tx.Snapshots("o").Put("a", Snapshot{Name: "a", Backend: "x"}); err != nil {
				return err
			}
			return tx.Snapshots("o").Put("b", Snapshot{Name: "b", Backend: "x"})
		}, `are both backend "x"`},
		{"torn record", func(tx *Tx) error {
			b, err := tx.Leases().makeBucket()
			if err != nil {
				return err
			}
			return b.Put([]byte("l"), []byte("{"))
		}, `lease "l": record`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := open(t)
			require.NoError(t, db.Update("ns", tc.harm))
			found := db.Check()
			require.Len(t, found, 1)
			require.ErrorContains(t, found[0], tc.says)
		})
	}
}

// TestOpenTwice: two managers must not share one file.
func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := Open(path)
	require.NoError(t, err)
	defer db.Close()
	_, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: 1})
	require.Error(t, err)
}

func TestValidName(t *testing.T) {
	for _, good := range []string{"a", "slipway", "k8s.io", "a_b-c.d", strings.Repeat("x", 76)} {
		require.NoError(t, ValidName("id", good), good)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "/a", "a..b", "-a", "a-", "a b", "ä", strings.Repeat("x", 77)} {
		require.Error(t, ValidName("id", bad), bad)
	}
}

// FuzzValidName: what passes is one harmless path element.
func FuzzValidName(f *testing.F) {
	f.Add("a.b")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		if ValidName("id", name) == nil {
			require.Equal(t, filepath.Join("/s", name), "/s/"+name)
			require.NotContains(t, name, "/")
			require.NotContains(t, name, "..")
		}
	})
}
