package seccomp

// search looks the call's number, which is in the accumulator, up among the spans, and decides. The spans are in ascending order
// and cover every number. Half of them are left after each comparison, so that the filter, which runs before every system call,
// takes the logarithm of their number in steps.
func search(a arch, list []span) (code, error) {
	//ex:begin oci.seccomp
	if len(list) == 1 {
		return decide(a, list[0].verdict), nil
	}
	mid := len(list) / 2
	lower, err := search(a, list[:mid])
	if err != nil {
		return nil, err
	}
	upper, err := search(a, list[mid:])
	if err != nil {
		return nil, err
	}
	return branch(opIfAtOr, list[mid].first, upper, lower), nil
	//ex:stub
	// return nil, todo.Exercise("oci.seccomp")
	//ex:end oci.seccomp
}
