"""Code that tries to do harm. Each returns True when it succeeded: a wall that holds never lets one return True.

`{canary}` is a file that others may read, with a secret in it; `{folder}` one that anybody may write to; `{port}` a
TCP port that listens, `{udp}` a UDP one. The probe at start-up runs all of them but the slow ones; the tests run all.
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
    Attack("read the memory of another process", "return bool(open('/proc/1/maps').read())"),
    Attack("connect by TCP", "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\nreturn True"),
    Attack("connect with what is loaded",
           "import _socket\ns = _socket.socket()\ns.connect(('127.0.0.1', {port}))\nreturn True"),
    Attack("send by UDP",
           "import _socket\ns = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)\n"
           "s.sendto(b'x', ('127.0.0.1', {udp}))\nreturn True"),
    Attack("system call by ctypes",
           "import ctypes\nl = ctypes.CDLL(None)\nreturn l.open(b'{canary}', 0) >= 0 or l.fork() >= 0"),
    Attack("start a shell", "return os.system('true') == 0"),
    Attack("replace itself by a program", "os.execv('/bin/true', ['true'])"),
    Attack("start a process", "import subprocess\nsubprocess.run(['true'])\nreturn True"),
    Attack("fork", "return os.fork() >= 0"),
    Attack("start a thread", "import _thread\n_thread.start_new_thread(time.sleep, (0,))\nreturn True"),
    Attack("kill the server", "os.kill(os.getppid(), 9)\nreturn True"),
    Attack("kill everybody", "os.kill(-1, 9)\nreturn True"),
    Attack("become root", "os.setuid(0)\nreturn True"),
    Attack("raise its limits",
           "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn True"),
    Attack("use an inherited descriptor",
           "found = []\nfor fd in range(4, 200):\n    try:\n        os.fstat(fd)\n        found.append(fd)\n"
           "    except OSError:\n        pass\nreturn bool(found)"),
    Attack("change the frozen code of others", "import plumbline_backend.judges.sandbox.confine as c\nc.os.rmdir('/')"),
    Attack("allocate four gigabytes", "return len(bytearray(4 * 2**30)) > 0"),
    Attack("many small allocations", "x = []\nwhile True:\n    x.append('y' * 10_000_000)"),
    Attack("deep recursion", "def f(n):\n    return f(n + 1)\nf(0)\nreturn True"),
    Attack("print a gigabyte", "for _ in range(200):\n    print('x' * 5_000_000)\nreturn False"),
    Attack("endless loop", "while True:\n    pass", slow=True),
    Attack("endless loop that catches all",
           "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
           slow=True),
    Attack("sleep", "time.sleep(60)", slow=True),
    Attack("catastrophic regular expression", "import re\nreturn bool(re.match(r'(a+)+$', 'a' * 40 + 'b'))",
           slow=True),
    Attack("huge integer", "return len(str(7 ** (10 ** 9))) > 5", slow=True),
)  # fmt: skip
