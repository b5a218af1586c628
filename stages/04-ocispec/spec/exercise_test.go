package spec_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// TestLoadSaysWhere is the exercise oci.load.
func TestLoadSaysWhere(t *testing.T) {
	_, err := spec.Decode([]byte("{}"))
	teach.Begun(t, err)
	const title = "an error in config.json says where it is"
	const read = "docs/04-ocispec.md#load    go doc encoding/json.SyntaxError and UnmarshalTypeError"
	_, err = spec.Decode([]byte("{\n \"ociVersion\": \"1.0.2\",\n}"))
	require.Error(t, err)
	if !strings.Contains(err.Error(), "line 3, column 1") {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.load", Code: "OCI-LOAD-1", Title: title,
			Did:   "decoded three lines of JSON with a comma too many at the end of the second",
			Saw:   err.Error(),
			Want:  "line 3, column 1, and then what is wrong there",
			Means: "the decoder knows the place, but its Error method does not say it: the offset is a field of the error's type. A config.json has a thousand lines, and the person who reads this message has just edited one.",
			Try:   "go doc encoding/json.SyntaxError",
			Read:  read,
		})
	}
	_, err = spec.Decode([]byte("{\n \"hostname\": 7}"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "hostname") {
		saw := "no error at all"
		if err != nil {
			saw = err.Error()
		}
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.load", Code: "OCI-LOAD-2", Title: title,
			Did:   `decoded {"hostname": 7}, with the 7 on the second line`,
			Saw:   saw,
			Want:  "line 2, the field hostname, and that a string is wanted there",
			Means: "this text is good JSON; it is of the wrong type for its field, which is another kind of error than bad syntax, with fields of its own: the offset, the path of the field, the type that was wanted.",
			Try:   "go doc encoding/json.UnmarshalTypeError",
			Read:  read,
		})
	}
	require.EqualError(t, err, "config.json: line 2, column 14: hostname: want string, found number")
}
