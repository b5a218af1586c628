// Package differential runs the same config.json by our runtime, by runc and by crun, with one probe inside, and compares what the
// three containers were: mounts, capabilities, ids, limits, cgroup values, seccomp verdicts, devices, modes and the rest.
//
// The package is its test: cases_test.go lists the configurations, probe_test.go says what is looked at from inside,
// and known_test.go holds the differences that stay, each with its reason. A difference that is not on that list is a failure, and so is
// an entry that no difference needs any more.
package differential
