"""What a process gives up before it runs code of others: files, network, other processes, memory, time.

Only the standard library, because the fork server loads nothing else. Each step raises OSError where the kernel
refuses it. Sources: seccomp(2), landlock(7), bpf's struct sock_filter.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

from plumbline_backend.judges.sandbox.syscalls import MACHINES, Machine

NOBODY = 65_534
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 38, 4
_SET_MODE_FILTER = 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
"""Verdicts of the filter: allow; fail with EPERM; kill the process."""
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCH = 0, 4
"""Offsets in struct seccomp_data."""
_FS_RIGHTS = (13, 14, 15, 15, 16)
"""How many filesystem rights Landlock's ABI 1, 2, 3, 4 and 5 and later know."""
_NET_RIGHTS, _SCOPES = 2, 2


class NotPossibleError(OSError):
    """The system lacks what confinement needs; the message says what."""


def give_up_everything(memory_bytes: int, cpu_s: int) -> None:
    """Confine this process for good: limits, user, Landlock, seccomp, in this order. Raises OSError."""
    machine = this_machine()
    libc = ctypes.CDLL(None, use_errno=True)
    _limit(memory_bytes, cpu_s)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _landlock(libc, machine)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _checked(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    _seccomp(libc, machine)


def this_machine() -> Machine:
    """The table of this machine. Raises NotPossibleError where there is none."""
    name = platform.machine()
    if platform.system() != "Linux" or name not in MACHINES:
        raise NotPossibleError(
            f"{platform.system()} on {name}; expected Linux on one of {', '.join(MACHINES)}"
        )
    return MACHINES[name]


def filter_program(machine: Machine) -> bytes:
    """The seccomp filter: a wrong architecture is killed, allowed numbers pass, the others get EPERM.

    One instruction per allowed call: a few dozen comparisons cost tens of nanoseconds.
    """
    numbers = sorted(set(machine.allowed.values()))
    lines = [(_LOAD, 0, 0, _ARCH), (_JUMP_EQUAL, 1, 0, machine.audit_arch), (_RETURN, 0, 0, _KILL)]
    lines.append((_LOAD, 0, 0, _NUMBER))
    if machine.foreign_bit:
        lines += [(_JUMP_SET, 0, 1, machine.foreign_bit), (_RETURN, 0, 0, _KILL)]
    for at, number in enumerate(numbers):
        lines.append((_JUMP_EQUAL, len(numbers) - at, 0, number))
    lines += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def _limit(memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    for name in ("RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
        resource.setrlimit(getattr(resource, name), (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _landlock(libc: ctypes.CDLL, machine: Machine) -> None:
    """A ruleset that handles every right this kernel knows and allows none of them."""
    create, _, restrict = machine.landlock
    abi = libc.syscall(create, None, 0, 1)
    if abi < 1:
        raise NotPossibleError(ctypes.get_errno(), "Landlock is not available in this kernel")
    rights = (1 << _FS_RIGHTS[min(abi, len(_FS_RIGHTS)) - 1]) - 1
    network = (1 << _NET_RIGHTS) - 1 if abi >= 4 else 0
    scopes = (1 << _SCOPES) - 1 if abi >= 6 else 0
    attributes = struct.pack("QQQ", rights, network, scopes)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = libc.syscall(create, attributes, size, 0)
    _checked(ruleset, "landlock_create_ruleset")
    _checked(libc.syscall(restrict, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _seccomp(libc: ctypes.CDLL, machine: Machine) -> None:
    program = filter_program(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _checked(libc.syscall(machine.seccomp, _SET_MODE_FILTER, 0, described), "seccomp")


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise NotPossibleError(number, f"{what}: {os.strerror(number)}")
