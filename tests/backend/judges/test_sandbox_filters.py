"""The seccomp filters of both machines, run by a small interpreter, against Linux's own tables."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from plumbline_backend.judges.sandbox.confine import filter_program
from plumbline_backend.judges.sandbox.syscalls import MACHINES

LINUX = json.loads((Path(__file__).parent / "linux_syscalls.json").read_text())
ALLOW, KILL, NOT_PERMITTED = 0x7FFF0000, 0x80000000, 0x00050001
"""SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO with EPERM (1)."""
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""EM_X86_64 (62) and EM_AARCH64 (183), 64 bits (0x80000000), little-endian (0x40000000)."""
I386 = 0x40000003
X32 = 0x40000000
NEWEST = 1024
"""Numbers beyond every call that Linux has."""
machines = pytest.mark.parametrize("name", sorted(MACHINES))


def verdict(program: bytes, arch: int, number: int) -> int:
    """What a classic BPF machine returns on struct seccomp_data. Refuses what is no instruction of such a filter."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *[0] * 6)
    lines = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
            at += if_true if accumulator == value else if_false
        elif code == 0x45:  # BPF_JMP | BPF_JSET | BPF_K
            at += if_true if accumulator & value else if_false
        elif code == 0x06:  # BPF_RET | BPF_K
            return value
        else:
            raise AssertionError(f"instruction {at - 1}: unknown code {code:#x}")


def test_the_interpreter_is_right():
    """Load the number; 3 is allowed, of the others those with bit 8 killed, else refused."""
    lines = [(0x20, 0, 0, 0), (0x15, 2, 0, 3), (0x45, 2, 0, 8), (0x06, 0, 0, NOT_PERMITTED), (0x06, 0, 0, ALLOW),
             (0x06, 0, 0, KILL)]  # fmt: skip
    program = b"".join(struct.pack("<HBBI", *line) for line in lines)
    assert [verdict(program, 0, n) for n in (3, 4, 8, 12)] == [ALLOW, NOT_PERMITTED, KILL, KILL]


@machines
def test_the_numbers_are_those_of_linux(name):
    machine, table = MACHINES[name], LINUX[name]
    assert {call: table[call] for call in machine.allowed} == machine.allowed
    assert machine.audit_arch == AUDIT_ARCH[name]
    assert machine.seccomp == table["seccomp"]
    calls = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
    assert machine.landlock == tuple(table[call] for call in calls)


@machines
def test_the_filter_allows_the_listed_calls_and_no_other(name):
    machine = MACHINES[name]
    program = filter_program(machine)
    allowed = {number for number in range(NEWEST) if verdict(program, machine.audit_arch, number) == ALLOW}
    assert allowed == set(machine.allowed.values())
    refused = {verdict(program, machine.audit_arch, number) for number in set(range(NEWEST)) - allowed}
    assert refused == {NOT_PERMITTED}


@machines
def test_calls_that_reach_outside_are_refused_by_number(name):
    """By Linux's numbers, whatever the product's table calls them."""
    outside = {
        "openat", "openat2", "execve", "execveat", "clone", "clone3", "socket", "socketpair", "connect", "sendto",
        "sendmsg", "bind", "accept4", "kill", "tkill", "tgkill", "ptrace", "process_vm_readv", "process_vm_writev",
        "unlinkat", "mkdirat", "renameat2", "mount", "unshare", "setns", "setuid", "setresuid", "prctl", "seccomp",
        "bpf", "io_uring_setup", "ioctl", "memfd_create", "pidfd_open", "pidfd_getfd", "newfstatat", "statx",
        "getdents64", "prlimit64", "dup", "dup3", "fcntl", "shmget", "keyctl", "perf_event_open", "userfaultfd",
    }  # fmt: skip
    machine = MACHINES[name]
    program = filter_program(machine)
    got = {call: verdict(program, machine.audit_arch, LINUX[name][call]) for call in outside}
    assert set(got.values()) == {NOT_PERMITTED}, got


@machines
@pytest.mark.parametrize("number", [0, 1, 63, 64, 231])
def test_another_architecture_is_killed(name, number):
    """The numbers of 32-bit calls mean others: what is read in one is open in the other."""
    machine = MACHINES[name]
    for arch in (I386, 0, 0xFFFFFFFF, *(set(AUDIT_ARCH.values()) - {machine.audit_arch})):
        assert verdict(filter_program(machine), arch, number) == KILL


def test_the_other_numbering_of_x86_64_is_killed():
    """x32 calls share the architecture and have a bit in their number."""
    machine = MACHINES["x86_64"]
    program = filter_program(machine)
    assert {verdict(program, machine.audit_arch, X32 | n) for n in range(NEWEST)} == {KILL}
    assert verdict(program, machine.audit_arch, 0xFFFFFFFF) == KILL
    assert verdict(filter_program(MACHINES["aarch64"]), AUDIT_ARCH["aarch64"], 0xFFFFFFFF) == NOT_PERMITTED
