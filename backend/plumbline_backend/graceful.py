"""Ending on SIGTERM as on an exception, so that what is open is closed in order."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


def close_on_sigterm() -> None:
    """Make SIGTERM raise SystemExit(0) in the main thread: every `with` around it closes what it holds.

    uvicorn finishes its requests on the signal and then raises it again, which would otherwise end the process at
    once: jobs would stay "running" until their lease ends, and worker processes would be left alone. A second signal
    changes nothing. Does nothing outside the main thread, where Python takes no signals.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)
