"""Code that tries to do harm. Each returns True when it succeeded: a wall that holds never lets one return True.

Some harm shows outside only: a file that is new, a connection, a server that is lost, a verdict on the code of others
that is no longer right, a call that does not end. `probe.attacks_that_succeed` looks for those.

`{canary}` is a file that others may read, with a secret in it; `{folder}` one that anybody may write to; `{port}` a
TCP port that listens, `{udp}` a UDP one, `{unix}` the path of a UNIX socket that listens and `{abstract}` the name of
one without a path. The probe at start-up runs all of them but the slow ones; the tests run all, without a wall too.
"""

from __future__ import annotations

from typing import NamedTuple


class Attack(NamedTuple):
    """One attempt. slow: it only ends at a limit."""

    name: str
    body: str
    slow: bool = False


def code_of(attack: Attack, **places: object) -> str:
    """A validator that carries the attack out; every failure of it counts as "nothing happened"."""
    body = attack.body
    for name, value in places.items():
        body = body.replace("{" + name + "}", str(value))
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return (
        "def check(output, context):\n    import os, sys, time\n    try:\n"
        f"{lines}\n    except (Exception, SystemExit):\n        return False\n    return False\n"
    )


ATTACKS = (
    Attack("read a file", "return 'secret' in open('{canary}').read()"),
    Attack("read a file by system call", "return b'secret' in os.read(os.open('{canary}', os.O_RDONLY), 99)"),
    Attack("list a folder", "return bool(os.listdir('{folder}'))"),
    Attack("look whether a file exists", "return os.path.exists('{canary}') or bool(os.stat('{canary}'))"),
    Attack("write a file", "open('{folder}/written', 'w').write('x')\nreturn True"),
    Attack("make a folder", "os.mkdir('{folder}/made')\nreturn True"),
    Attack("remove a file", "os.unlink('{canary}')\nreturn True"),
    Attack("read the parent's environment",
           "return bool(open('/proc/%d/environ' % os.getppid()).read())"),
    Attack("read its own environment", "return any('KEY' in name or 'TOKEN' in name for name in os.environ)"),
    Attack("read the memory map of another process", "return bool(open('/proc/%d/maps' % os.getppid()).read())"),
    Attack("read memory by system call",
           "import ctypes\n"
           "class Span(ctypes.Structure):\n    _fields_ = [('at', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
           "source, target = ctypes.create_string_buffer(b'secret'), ctypes.create_string_buffer(6)\n"
           "spans = [Span(ctypes.addressof(each), 6) for each in (target, source)]\n"
           "a, b = map(ctypes.byref, spans)\nread = ctypes.CDLL(None).process_vm_readv\n"
           "return any(read(pid, a, 1, b, 1, 0) > 0 for pid in (os.getppid(), os.getpid()))"),
    Attack("trace a process",
           "import ctypes\nSEIZE, TRACE_ME = 0x4206, 0\nptrace = ctypes.CDLL(None).ptrace\n"
           "return ptrace(SEIZE, os.getppid(), None, None) == 0 or ptrace(TRACE_ME, 0, None, None) == 0"),
    Attack("make namespaces of its own",
           "import ctypes\nUSER, NETWORK, FILES = 0x10000000, 0x40000000, 0x400\n"
           "return any(ctypes.CDLL(None).unshare(what) == 0 for what in (USER, NETWORK, FILES))"),
    Attack("connect by TCP", "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\nreturn True"),
    Attack("connect with what is loaded",
           "import _socket\ns = _socket.socket()\ns.connect(('127.0.0.1', {port}))\nreturn True"),
    Attack("send by UDP",
           "import _socket\ns = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)\n"
           "s.sendto(b'x', ('127.0.0.1', {udp}))\nreturn True"),
    Attack("connect to a UNIX socket",
           "import _socket\ns = _socket.socket(_socket.AF_UNIX)\ns.connect('{unix}')\nreturn True"),
    Attack("connect to a UNIX socket without a path",
           "import _socket\ns = _socket.socket(_socket.AF_UNIX)\ns.connect('\\0{abstract}')\nreturn True"),
    Attack("system call by ctypes",
           "import ctypes\nl = ctypes.CDLL(None)\nreturn l.open(b'{canary}', 0) >= 0"),
    Attack("start a shell", "return os.system('true') == 0"),
    Attack("replace itself by a program", "os.execv('/bin/mkdir', ['mkdir', '{folder}/made'])"),
    Attack("start a process", "import subprocess\nsubprocess.run(['true'])\nreturn True"),
    Attack("fork", "pid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)\nreturn True"),
    Attack("start a thread", "import _thread\n_thread.start_new_thread(time.sleep, (0,))\nreturn True"),
    Attack("kill the server", "os.kill(os.getppid(), 9)\nreturn True"),
    Attack("kill everybody", "os.kill(-1, 9)\nreturn True"),
    Attack("become root", "os.setuid(0)\nreturn True"),
    Attack("raise its limits",
           "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn True"),
    Attack("use an inherited descriptor",
           "found = []\nfor fd in range(4, 200):\n    try:\n        os.fstat(fd)\n        found.append(fd)\n"
           "    except OSError:\n        pass\nreturn bool(found)"),
    Attack("change the verdicts of others",
           "import plumbline_backend.judges.sandbox.child as c\nc._verdict = lambda *_: ('pass', '')\nreturn False"),
    Attack("crash the interpreter", "import ctypes\nctypes.string_at(0)"),
    Attack("allocate four gigabytes", "return len(bytes(4 * 2**30)) > 0"),
    Attack("many small allocations", "x = ['y' * 10_000_000 for _ in range(60)]\nreturn len(x) == 60"),
    Attack("deep recursion",
           "sys.setrecursionlimit(10**9)\ndef f(n):\n    return n == 5_000_000 or f(n + 1)\nreturn f(0)"),
    Attack("print a gigabyte to where it is kept",
           "import stat\nfor _ in range(200):\n    print('x' * 5_000_000, flush=True)\n"
           "    if not stat.S_ISCHR(os.fstat(1).st_mode):\n        return True"),
    Attack("endless loop", "while True:\n    pass", slow=True),
    Attack("endless loop that catches all",
           "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
           slow=True),
    Attack("sleep", "time.sleep(60)", slow=True),
    Attack("catastrophic regular expression", "import re\nreturn bool(re.match(r'(a+)+$', 'a' * 40 + 'b'))",
           slow=True),
    Attack("huge integer", "return len(str(7 ** (10 ** 9))) > 5", slow=True),
)  # fmt: skip
