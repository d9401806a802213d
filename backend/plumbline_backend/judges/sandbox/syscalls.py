"""The system calls that confined code may make, by machine. Everything else is refused with "not permitted".

Enough for the interpreter to compute, allocate, tell the time and write to descriptors it was given; nothing that
opens, connects, starts or signals anything. Numbers: Linux's syscall tables of x86-64 and of the generic ABI.
"""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """A machine's audit architecture, its allowed calls by name, and the bit that marks another ABI (0: none)."""

    audit_arch: int
    allowed: dict[str, int]
    foreign_bit: int
    landlock: tuple[int, int, int]
    """landlock_create_ruleset, landlock_add_rule, landlock_restrict_self: alike everywhere."""
    seccomp: int


_LANDLOCK = (444, 445, 446)

X86_64 = Machine(
    0xC000003E,
    {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24,
        "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "exit": 60, "getuid": 102, "getgid": 104,
        "geteuid": 107, "getegid": 108, "sigaltstack": 131, "gettid": 186, "futex": 202, "time": 201,
        "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "set_robust_list": 273, "getrandom": 318, "gettimeofday": 96,
        "rseq": 334,
    },
    0x40000000,
    _LANDLOCK,
    317,
)  # fmt: skip

AARCH64 = Machine(
    0xC00000B7,
    {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "ppoll": 73, "lseek": 62, "mmap": 222, "mprotect": 226,
        "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
        "sched_yield": 124, "mremap": 216, "madvise": 233, "nanosleep": 101, "getpid": 172, "exit": 93,
        "getuid": 174, "getgid": 176, "geteuid": 175, "getegid": 177, "sigaltstack": 132, "gettid": 178,
        "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113, "clock_getres": 114,
        "clock_nanosleep": 115, "exit_group": 94, "set_robust_list": 99, "getrandom": 278, "gettimeofday": 169,
        "rseq": 293,
    },
    0,
    _LANDLOCK,
    277,
)  # fmt: skip

MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}
"""By what `platform.machine()` says."""
