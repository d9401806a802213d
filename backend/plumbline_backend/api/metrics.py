"""Figures about the server for Prometheus, and the middleware that takes them."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline_backend.workspace import Workspace

logger = logging.getLogger(__name__)

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram; 0.15 and 0.2 are what is promised for submit and next item at the 95th percentile."""
SLOW_S = 2.0
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATM = Path("/proc/self/statm")
_FDS = Path("/proc/self/fd")
_PAGE = 4096


class RequestFigures:
    """How many requests there were, by route and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: Counter[tuple[str, str]] = Counter()
        self.started = time.time()

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self._lock:
            self._counts[method, route, status] += 1
            buckets = self._buckets.setdefault((method, route), [0] * (len(BOUNDS_S) + 1))
            buckets[bisect_left(BOUNDS_S, seconds)] += 1
            self._seconds[method, route] += seconds  # type: ignore[assignment]

    def lines(self) -> Iterator[str]:
        """The figures in Prometheus's text format."""
        with self._lock:
            counts, seconds = dict(self._counts), dict(self._seconds)
            buckets = {key: list(found) for key, found in self._buckets.items()}
        yield from _family("plumbline_requests_total", "counter", "Requests answered")
        for (method, route, status), n in sorted(counts.items()):
            yield _line("plumbline_requests_total", {"method": method, "route": route, "status": status}, n)
        name = "plumbline_request_seconds"
        yield from _family(name, "histogram", "Time to the end of the answer")
        for (method, route), found in sorted(buckets.items()):
            labels = {"method": method, "route": route}
            for bound, n in zip([*map(str, BOUNDS_S), "+Inf"], accumulate(found), strict=True):
                yield _line(f"{name}_bucket", {**labels, "le": bound}, n)
            yield _line(f"{name}_sum", labels, round(seconds[method, route], 6))
            yield _line(f"{name}_count", labels, sum(found))


class Measure:
    """Counts every request by the route that answered it; logs those that failed or were slow."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self.app = app
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500
        begun = time.perf_counter()

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_look)
        finally:
            seconds = time.perf_counter() - begun
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = _route_of(scope)
            self.figures.add(method, route, status, seconds)
            if status >= 500 or seconds > SLOW_S:
                about = {"method": method, "route": route, "status": status, "ms": round(1000 * seconds)}
                logger.warning("%(method)s %(route)s: %(status)s after %(ms)s ms", about, extra=about)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _route_of(scope: Scope) -> str:
    """The template of the route that answered, such as /api/v1/projects/{slug}: few values, none of them a name.

    A route knows its own router's prefix; what the application put before that has no parameters and is taken from
    the path.
    """
    route = scope.get("route")
    template: str | None = getattr(route, "path", None)
    if template is None:
        return "other"
    segments = scope["path"].split("/")
    return "/".join(segments[: len(segments) - template.count("/")]) + template


def metrics_route(workspace: Workspace, figures: RequestFigures) -> APIRouter:
    """GET /metrics."""
    router = APIRouter()

    @router.get("/metrics", response_class=PlainTextResponse, tags=["operation"])
    def metrics() -> PlainTextResponse:
        """Requests, jobs, projects and memory in Prometheus's text format. Nothing in it names a person or an item."""
        lines = [*figures.lines(), *_workspace_lines(workspace), *_process_lines(figures.started)]
        return PlainTextResponse("\n".join(lines) + "\n", media_type=MEDIA_TYPE)

    return router


def _workspace_lines(workspace: Workspace) -> Iterator[str]:
    projects = workspace.projects()
    yield from _family("plumbline_projects", "gauge", "Projects in the workspace")
    yield _line("plumbline_projects", {}, len(projects))
    yield from _family("plumbline_items", "gauge", "Items in all projects")
    yield _line("plumbline_items", {}, sum(row.n_items for row in projects))
    yield from _family("plumbline_jobs", "gauge", "Jobs ever made, by the state they are in")
    for state, n in sorted(workspace.store.jobs.counts().items()):
        yield _line("plumbline_jobs", {"state": state}, n)


def _process_lines(started: float) -> Iterator[str]:
    yield from _family("process_start_time_seconds", "gauge", "When the server started, in Unix seconds")
    yield _line("process_start_time_seconds", {}, round(started, 3))
    if _STATM.exists():
        yield from _family("process_resident_memory_bytes", "gauge", "Memory of the server process")
        yield _line("process_resident_memory_bytes", {}, int(_STATM.read_text().split()[1]) * _PAGE)
    if _FDS.exists():
        yield from _family("process_open_fds", "gauge", "Open files and connections of the server process")
        yield _line("process_open_fds", {}, sum(1 for _ in _FDS.iterdir()))


def _family(name: str, kind: str, words: str) -> Iterable[str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, Any], value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(str(each))}"' for label, each in labels.items())
    return f"{name}{{{shown}}} {value}" if shown else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
