"""What this machine has for Plumbline, and the command that brings what it lacks."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

CORE = ("numpy", "torch", "scikit-learn", "sqlalchemy", "panel", "bokeh", "fastapi", "onnxruntime", "pyarrow")
LOW_DISK_BYTES = 1 << 30


class Finding(NamedTuple):
    """One line of the report. `remedy` is empty when nothing needs to be done."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    optional: bool = False


def examine(workspace: Path, database_url: str | None = None) -> list[Finding]:
    """Every finding, in the order in which a newcomer would need them."""
    return [
        Finding("python", True, f"{platform.python_version()} on {platform.platform()}"),
        *(_distribution(name) for name in CORE),
        _kernels(),
        _database(),
        *([_server(database_url)] if database_url else []),
        _sandbox(),
        _disk(workspace),
        _browser(),
        _extra("sentence-transformers", "sentence_transformers", "text"),
        _extra("triton", "triton", "gpu"),
        _extra("faiss-cpu", "faiss", "large"),
        _extra("ray", "ray", "ray"),
    ]


def _distribution(name: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", "make install")


def _extra(name: str, module: str, extra: str) -> Finding:
    if util.find_spec(module) is not None:
        return Finding(name, True, metadata.version(name), optional=True)
    return Finding(
        name, False, "not installed (optional)", f"pip install 'plumbline[{extra}]'", optional=True
    )


def _kernels() -> Finding:
    from plumbline_kernels import explain

    return Finding("kernels", True, explain())


def _database() -> Finding:
    from plumbline_backend.store import sqlite_report

    report = sqlite_report()
    found = f"{report.version} through {report.driver}, journal {report.journal_mode}"
    return Finding("sqlite", report.wal_safe, found, report.advice, optional=True)


def _server(url: str) -> Finding:
    """The database that is named; only looked at, nothing is made in it."""
    from plumbline_backend.domain.errors import PlumblineError
    from plumbline_backend.store import Database

    try:
        database = Database(url)
        try:
            return Finding("database", True, f"{database.describe()} at {database.url}")
        finally:
            database.close()
    except PlumblineError as error:
        return Finding("database", False, str(error), "start the server, or correct the URL of --database")


def _sandbox() -> Finding:
    from plumbline_backend.judges.sandbox import probe

    wall = probe()
    remedy = "" if wall.kind != "none" else "pip install pydantic-monty"
    return Finding("sandbox", wall.kind != "none", f"{wall.kind}: {wall.reason}", remedy, optional=True)


def _disk(workspace: Path) -> Finding:
    existing = next(p for p in [workspace.resolve(), *workspace.resolve().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    found = f"{existing}: {free / 2**30:.1f} GiB free, {'writable' if writable else 'not writable'}"
    remedy = (
        ""
        if writable and free > LOW_DISK_BYTES
        else "free some space, or choose another folder with --workspace"
    )
    return Finding("workspace", not remedy, found, remedy)


def _browser() -> Finding:
    found = next(
        (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None
    )
    if found:
        return Finding("browser (for tests)", True, found, optional=True)
    return Finding("browser (for tests)", False, "none found", "apt-get install chromium", optional=True)
