"""The sandbox: the attack set against the real wall, every way in which code can be wrong, and the fallback."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from plumbline_backend.domain.errors import ConflictError, JobFailedError
from plumbline_backend.judges import sandbox
from plumbline_backend.judges.sandbox import ForkServer, Limits, Row, Wall, client, probe, run_code
from plumbline_backend.judges.sandbox.attacks import ATTACKS, code_of
from plumbline_backend.judges.sandbox.confine import filter_program
from plumbline_backend.judges.sandbox.monty import run_in_monty
from plumbline_backend.judges.sandbox.probe import attacks_that_succeed, what_fails
from plumbline_backend.judges.sandbox.syscalls import AARCH64, MACHINES, X86_64

WALL = probe()
confined = pytest.mark.skipif(WALL.kind != "fork server", reason=f"no fork server here: {WALL.reason}")
QUICK = Limits(row_s=0.5, cpu_s=5)
TWO = [Row("good", {}), Row("bad", {})]


@pytest.fixture(scope="module")
def server():
    with ForkServer() as started:
        yield started


def states(outcomes):
    return [outcome.state for outcome in outcomes]


@confined
def test_no_attack_gets_through_and_each_ends_soon(server):
    started = time.monotonic()
    assert attacks_that_succeed(server, list(ATTACKS), QUICK) == []
    assert time.monotonic() - started < 30
    assert states(server.run("def check(output, context): return True", TWO)) == ["pass", "pass"]


@confined
def test_nothing_survives(server):
    slow = next(attack for attack in ATTACKS if attack.slow)
    server.run(code_of(slow), [TWO[0]], QUICK)
    children = Path(f"/proc/{server._process.pid}/task/{server._process.pid}/children").read_text()
    assert children.strip() == ""
    with ForkServer() as other:
        pid = other._process.pid
    assert not Path(f"/proc/{pid}").exists()


@confined
def test_the_environment_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_CANARY_KEY", "sk-canary")
    code = "import os\ndef check(output, context):\n    raise ValueError(repr(dict(os.environ)))"
    with ForkServer() as fresh:
        note = fresh.run(code, TWO)[0].note
    assert "canary" not in note
    assert "PATH" not in note


@confined
@pytest.mark.parametrize(
    ("code", "state", "note"),
    [
        ("def check(output, context):\n    return output == 'good'", ["pass", "fail"], ""),
        ("def check(output, context):\n    return None", ["abstain", "abstain"], ""),
        ("def check(output, context):\n    assert output == 'bad', 'is good'", ["fail", "abstain"], "is good"),
        ("def check(output, context):\n    return 1", ["error"] * 2, "returned a int; expected True, False or None"),
        ("def check(output, context):\n    return 'yes'", ["error"] * 2, "returned a str"),
        ("def check(output, context):\n    yield True", ["error"] * 2, "returned a generator"),
        ("def check(output, context):\n    return output.nope", ["error"] * 2, "no attribute 'nope' (line 2)"),
        ("def check(output, context)\n    return True", ["error"] * 2, "the code does not run: SyntaxError"),
        ("1 / 0", ["error"] * 2, "the code does not run: ZeroDivisionError: division by zero (line 1)"),
        ("x = 1", ["error"] * 2, "no function check(output, context)"),
        ("import numpy\ndef check(output, context):\n    return True", ["error"] * 2, "No module named 'numpy'"),
        ("def check(output, context):\n    raise SystemExit", ["error"] * 2, "SystemExit"),
        ("def check(output, context):\n    raise KeyboardInterrupt", ["error"] * 2, "KeyboardInterrupt"),
        ("import os\ndef check(output, context):\n    os._exit(0)", ["error"] * 2, "ended its process (exit 0)"),
        ("import os\ndef check(output, context):\n    os.write(3, b'x' * 99999)", ["error"] * 2, "result pipe"),
        ("def check(output, context):\n    return [0] * 10**9", ["error"] * 2, "MemoryError"),
    ],
)  # fmt: skip
def test_whatever_code_does_is_said(server, code, state, note):
    outcomes = server.run(code, TWO, QUICK)
    assert states(outcomes) == state
    assert note in outcomes[0].note


@confined
def test_each_validator_runs_in_a_process_of_its_own(server):
    code = "import os\ndef check(output, context):\n    assert False, str(os.getpid())"
    pids = [int(outcome.note) for _ in range(2) for outcome in server.run(code, TWO, QUICK)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert not {os.getpid(), server._process.pid} & set(pids)


@confined
def test_a_printed_gigabyte_goes_nowhere_and_changes_no_verdict(server, capfd):
    piece_by_piece = (
        "def check(output, context):\n    for _ in range(1000):\n        print('x' * 1_000_000)\n"
        "    return output == 'good'"
    )
    assert states(server.run(piece_by_piece, TWO, Limits(row_s=20, cpu_s=60))) == ["pass", "fail"]
    at_once = "def check(output, context):\n    print('x' * 10**9)\n    return True"
    outcomes = server.run(at_once, TWO, QUICK)
    assert states(outcomes) == ["error", "error"]  # more than its memory
    assert "MemoryError" in outcomes[0].note
    assert capfd.readouterr() == ("", "")


@confined
def test_an_error_whose_own_words_fail(server):
    code = (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def check(output, context):\n    raise E"
    )
    assert server.run(code, TWO, QUICK)[0].note == "E: without words (line 5)"


@confined
def test_one_slow_row_does_not_spoil_the_others(server):
    code = "def check(output, context):\n    while output == 'slow':\n        pass\n    return True"
    rows = [Row(text, {}) for text in ("a", "slow", "b", "c")]
    outcomes = server.run(code, rows, QUICK)
    assert states(outcomes) == ["pass", "error", "pass", "pass"]
    assert outcomes[1].note == "stopped: longer than 0.5 s for one row"


@confined
def test_endless_loops_end_in_bounded_time(server):
    started = time.monotonic()
    outcomes = server.run("while True: pass", [Row("x", {})] * 500, QUICK)
    assert time.monotonic() - started < 5
    assert states(outcomes) == ["error"] * 500
    assert outcomes[-1].note == "not run: the code was stopped on 3 rows before"


@confined
def test_large_and_odd_outputs_arrive_whole(server):
    odd = "\x00\x1b[31m<script>alert(1)</script>\u202e\ud83d\ude00 \ud800"
    rows = [Row("x" * 1_000_000, {}), Row(odd, {"vars": {"name": odd}})]
    code = (
        "def check(output, context):\n"
        "    return len(output) == 1000000 if 'vars' not in context else context['vars']['name'] == output"
    )
    assert states(server.run(code, rows)) == ["pass", "pass"]


@confined
def test_forged_verdicts_reach_no_further_than_their_own_judge(server):
    code = (
        "import os\ndef check(output, context):\n"
        '    os.write(3, b\'{"row": 7, "state": "pass", "note": "", "seconds": 0.0}\\n\')\n    return False'
    )
    assert states(server.run(code, TWO, QUICK)) == ["error", "error"]
    assert states(server.run("def check(output, context): return False", TWO, QUICK)) == ["fail", "fail"]


@confined
def test_a_lost_server_is_an_error_not_a_hang():
    with ForkServer() as started:
        os.kill(started._process.pid, 9)
        with pytest.raises(JobFailedError, match="its process has ended"):
            started.run("def check(output, context): return True", TWO)


def test_the_filters_of_both_machines_are_well_formed():
    """Each jump lands inside the program; the last two instructions refuse and allow."""
    for machine in MACHINES.values():
        program = filter_program(machine)
        assert len(program) % 8 == 0
        n = len(program) // 8
        jumps = [
            (at, program[at * 8 + 2], program[at * 8 + 3])
            for at in range(n)
            if program[at * 8] in (0x15, 0x45)
        ]
        assert all(at + 1 + max(yes, no) < n for at, yes, no in jumps)
        assert program[-4:] == (0x7FFF0000).to_bytes(4, "little")
        assert len(set(machine.allowed.values())) == len(machine.allowed)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_no_dangerous_call_is_on_the_list(machine):
    dangerous = {
        "open", "openat", "openat2", "creat", "execve", "execveat", "fork", "vfork", "clone", "clone3", "socket",
        "connect", "sendto", "bind", "kill", "tkill", "tgkill", "ptrace", "unlink", "unlinkat", "mount", "unshare",
        "setuid", "prctl", "bpf", "io_uring_setup", "ioctl", "memfd_create", "process_vm_readv", "pidfd_open", "stat",
        "newfstatat", "statx", "getdents64", "prlimit64", "setrlimit", "dup", "fcntl", "sendmsg", "shmget",
    }  # fmt: skip
    assert dangerous.isdisjoint(machine.allowed)


def test_the_two_tables_allow_the_same():
    assert set(X86_64.allowed) - set(AARCH64.allowed) == {"poll", "time"}
    assert set(AARCH64.allowed) - set(X86_64.allowed) == {"ppoll"}


@pytest.mark.parametrize(
    ("code", "state", "note"),
    [
        ("def check(output, context):\n    return output == 'good'", ["pass", "fail"], ""),
        ("import re\ndef check(output, context):\n    return bool(re.search('o+', output))", ["pass", "fail"], ""),
        ("def check(output, context):\n    return None", ["abstain", "abstain"], ""),
        ("def check(output, context):\n    assert output == 'bad', 'is good'\n    return True",
         ["fail", "pass"], "is good"),
        ("def check(output, context):\n    return 1", ["error"] * 2, "returned a int"),
        ("def check(output, context)\n    return True", ["error"] * 2, "the code does not run"),
        ("def check(output, context):\n    return open('/etc/passwd').read() != ''", ["error"] * 2, "PermissionError"),
        ("import socket\ndef check(output, context):\n    return True", ["error"] * 2, "ModuleNotFoundError"),
        ("def check(output, context):\n    while True:\n        pass", ["error"] * 2, "TimeoutError"),
        ("def check(output, context):\n    return len([0] * 10**9) > 0", ["error"] * 2, "MemoryError"),
    ],
)  # fmt: skip
def test_the_fallback_says_the_same(code, state, note):
    outcomes = run_in_monty(code, TWO, Limits(row_s=0.3, memory_bytes=50_000_000), None)
    assert states(outcomes) == state
    assert note in outcomes[0].note


def test_the_fallback_gives_up_on_loops_too():
    outcomes = run_in_monty("while True: pass", [TWO[0]] * 50, Limits(row_s=0.2), None)
    assert states(outcomes) == ["error"] * 50
    assert "not run" in outcomes[-1].note


def test_the_fallback_is_used_where_the_wall_does_not_hold(monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda: Wall("monty", "Landlock is not available in this kernel"))
    seen = []
    assert (
        states(run_code("def check(output, context): return True", TWO, Limits(), seen.append))
        == ["pass"] * 2
    )
    assert len(seen) == 2


def test_without_any_wall_code_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda: Wall("none", "Darwin on arm64; expected Linux"))
    with pytest.raises(ConflictError, match="cannot be run safely on this system: Darwin on arm64"):
        run_code("def check(output, context): return True", TWO)


def test_a_system_that_cannot_confine_is_found_out(monkeypatch):
    """The probe tries: a server that dies at once is no wall."""
    monkeypatch.setattr(client.sys, "executable", "/bin/false")
    assert "its process has ended" in what_fails()
