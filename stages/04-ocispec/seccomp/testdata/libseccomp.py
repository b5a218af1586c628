"""Compiles seccomp profiles with libseccomp: one JSON object per line in, one per line out.

Used by TestLibseccomp, which runs both programs. It does what runc does with a profile: a rule that repeats the default is
left out, names that the library does not know are left out, two conditions on one argument become two rules.
"""

import ctypes
import json
import os
import sys

lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


lib.seccomp_init.restype = ctypes.c_void_p
lib.seccomp_init.argtypes = [ctypes.c_uint32]
lib.seccomp_release.argtypes = [ctypes.c_void_p]
lib.seccomp_arch_add.argtypes = lib.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)]
lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
lib.seccomp_arch_native.restype = ctypes.c_uint32

OPERATORS = ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"]
ACTIONS = {
    "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000, "SCMP_ACT_TRACE": 0x7FF00000, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
}
UNKNOWN = -1  # __NR_SCMP_ERROR


def action(name, errno):
    value = ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value |= 1 if errno is None else errno
    return value


def add(ctx, rule, default):
    what = action(rule["action"], rule.get("errnoRet"))
    if what == default:
        return 0
    args = [Compare(a["index"], 1 + OPERATORS.index(a["op"]), a["value"], a.get("valueTwo", 0)) for a in rule.get("args") or []]
    groups = [args]
    if len({a.arg for a in args}) < len(args):
        groups = [[a] for a in args]
    for name in rule["names"]:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == UNKNOWN:
            continue
        for group in groups:
            code = lib.seccomp_rule_add_array(ctx, what, number, len(group), (Compare * len(group))(*group))
            if code != 0:
                return code
    return 0


def last(arch, rules):
    numbers = [lib.seccomp_syscall_resolve_name_arch(arch, n.encode()) for r in rules for n in r["names"]]
    return max([n for n in numbers if n > 0], default=0)


def compile(p):
    default = action(p["defaultAction"], p.get("defaultErrnoRet"))
    ctx = lib.seccomp_init(default)
    try:
        native = lib.seccomp_arch_native()
        if native != p["tokens"][0]:
            if lib.seccomp_arch_remove(ctx, native) != 0:
                return {"error": -1000}
        for token in p["tokens"]:
            if token != native and lib.seccomp_arch_add(ctx, token) != 0:
                return {"error": -1001}
        rules = p.get("syscalls") or []
        if len(rules) > 32:
            lib.seccomp_attr_set(ctx, 8, 2)
        for rule in rules:
            code = add(ctx, rule, default)
            if code != 0:
                return {"error": code}
        r = os.memfd_create("bpf")
        code = lib.seccomp_export_bpf(ctx, r)
        if code != 0:
            return {"error": code}
        os.lseek(r, 0, 0)
        text = b""
        while part := os.read(r, 1 << 20):
            text += part
        os.close(r)
        return {"error": 0, "filter": text.hex(), "last": [last(t, rules) for t in p["tokens"]]}
    finally:
        lib.seccomp_release(ctx)


def knows(names):
    return [n for n in names if lib.seccomp_syscall_resolve_name(n.encode()) != UNKNOWN]


for line in sys.stdin:
    question = json.loads(line)
    if "names" in question:
        token = question["token"]
        answer = {n: lib.seccomp_syscall_resolve_name_arch(token, n.encode()) for n in knows(question["names"])}
    else:
        answer = compile(question)
    print(json.dumps(answer), flush=True)
