"""A thin client for the REST API. One file, the standard library only: copy it wherever Python runs.

with Client("http://localhost:5006", token="plumb_...") as client:
    for ask in client.next_items("galaxies", holder="my-script"):
        client.record("galaxies", item=ask["item"]["position"], class_id="c1", ask=ask)
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

RETRIED = (502, 503, 504)
ATTEMPTS = 5
FIRST_PAUSE_S = 0.2
ONCE_ONLY = ("/tokens",)
"""What must not be sent again once it may have arrived."""
LEDGER_OVERLAP = 200
"""Ids looked at again when following the ledger: with several writers a lower one can be committed later."""
BLOCK = 1 << 20


class ApiError(Exception):
    """The server refused. `status` is HTTP's; the message is the server's own words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{words} (HTTP {status})")
        self.status = status
        self.words = words


class Client:
    """One connection to one server. Not for several threads at once: make one client for each.

    Requests are sent again when the connection breaks or the server is starting (up to 5 times), because they are safe
    to repeat: judgements carry a UUID, and what makes something new a key under which the server does it once. Only a
    new token is not asked for again once the request may have arrived: its secret is told in one answer only.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: found {url!r}; expected such as http://localhost:5006")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        self._base = parts.path.rstrip("/") + "/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Projects and items

    def projects(self) -> list[dict[str, Any]]:
        """Every project that the token's person may see."""
        return list(self._pages("/projects", "projects"))

    def project(self, slug: str) -> dict[str, Any]:
        """One project."""
        return self.get(f"/projects/{quote(slug)}")

    def import_file(
        self,
        path: str | Path,
        name: str,
        roles: Mapping[str, str] | None = None,
        label_use: str = "reference",
        skip_bad_rows: bool = False,
        timeout_s: float = 3600.0,
        embed: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Upload a file as a new project and wait for it.

        roles: a column's role where the guess is wrong. embed: the sentence-embedding model of a text column.
        """
        file = Path(path)
        with file.open("rb") as stream:
            upload = self._send(
                "POST",
                "/uploads?" + urlencode({"name": file.name}),
                stream,
                {"Content-Length": str(file.stat().st_size)},
            )
        body = {
            "upload": upload["upload"],
            "name": name,
            "roles": dict(roles or {}),
            "embed": dict(embed or {}),
            "label_use": label_use,
            "skip_bad_rows": skip_bad_rows,
        }
        job = self.post("/projects", body)
        return self.project(self.wait(job["id"], timeout_s=timeout_s)["result"]["slug"])

    def items(self, slug: str) -> Iterator[dict[str, Any]]:
        """Every item, page by page."""
        return self._pages(f"/projects/{quote(slug)}/items", "items")

    def item(self, slug: str, key: str) -> dict[str, Any]:
        """The item with this key."""
        return self.get(f"/projects/{quote(slug)}/item-by-key", key=key)

    # Labelling

    def question(self, slug: str) -> dict[str, Any]:
        """What is asked, with its classes by id."""
        return self.get(f"/projects/{quote(slug)}/question")

    def next_items(self, slug: str, holder: str, n: int = 10) -> list[dict[str, Any]]:
        """The items to answer next, leased to `holder` for a while."""
        asks: list[dict[str, Any]] = self.post(f"/projects/{quote(slug)}/next", {"holder": holder, "n": n})[
            "asks"
        ]
        return asks

    def record(
        self,
        slug: str,
        item: int,
        class_id: str | None = None,
        ask: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> int:
        """Record one answer and return its id once it is on disk. Raises ApiError where it is refused.

        ask: the ask that is answered; it says how the item came up, on which the honest figures rest.
        more: uuid, state, note, seconds.
        """
        how = {} if ask is None else {"query_id": ask["query_id"], "stratum": ask["stratum"]}
        (ack,) = self.record_many(slug, [{"item": item, "class_id": class_id, **how, **more}])
        if not ack["ok"]:
            raise ApiError(422, ack["error"])
        return int(ack["judgement_id"])

    def record_many(self, slug: str, judgements: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Record answers; one acknowledgement for each, in order. A missing `uuid` is made up."""
        rows = [{"uuid": uuid.uuid4().hex, **each} for each in judgements]
        acks: list[dict[str, Any]] = []
        for start in range(0, len(rows), 500):
            body = {"judgements": rows[start : start + 500]}
            acks += self.post(f"/projects/{quote(slug)}/judgements", body)["acks"]
        return acks

    def undo(self, slug: str, judgement_id: int | None = None) -> int | None:
        """Take back an answer of one's own: the named one, else the newest. Its id; None when there is none."""
        body = {"uuid": uuid.uuid4().hex, "judgement_id": judgement_id}
        undone: int | None = self.post(f"/projects/{quote(slug)}/undo", body)["judgement_id"]
        return undone

    def judgements(self, slug: str, after: int = -1) -> Iterator[dict[str, Any]]:
        """Rows of the ledger newer than `after`, oldest first. To follow it, ask from `LEDGER_OVERLAP` ids earlier
        and skip the ids that are known."""
        return self._pages(f"/projects/{quote(slug)}/judgements", "judgements", after)

    # Models, jobs, exports

    def predict(self, slug: str, items: Sequence[int]) -> dict[str, Any]:
        """Calibrated probabilities of the newest model: {"model", "classes", "items", "proba"}."""
        return self.post(f"/projects/{quote(slug)}/predictions", {"items": list(items)})

    def fit(self, slug: str, timeout_s: float = 600.0) -> dict[str, Any] | None:
        """Train now and wait; None when there is nothing new to learn."""
        job = self.post(f"/projects/{quote(slug)}/fit", {})
        return None if job is None else self.wait(job["id"], slug, timeout_s)

    def heads(self, slug: str) -> dict[str, Any]:
        """Heads that the project could train with their settings, and which is in force."""
        return self.get(f"/projects/{quote(slug)}/heads")

    def choose_head(self, slug: str, head: str, **settings: Any) -> dict[str, Any]:
        """Train this head from now on, with these settings; those left out are at their defaults."""
        return self.post(f"/projects/{quote(slug)}/head", {"head": head, "settings": settings})

    def wait(self, job_id: int, slug: str | None = None, timeout_s: float = 600.0) -> dict[str, Any]:
        """Wait until a job has ended. Raises ApiError when it failed, TimeoutError."""
        path = f"/jobs/{job_id}" if slug is None else f"/projects/{quote(slug)}/jobs/{job_id}"
        until = time.monotonic() + timeout_s
        while (job := self.get(path))["state"] in ("queued", "running"):
            if time.monotonic() > until:
                raise TimeoutError(f"job {job_id} is still {job['state']} after {timeout_s} s")
            time.sleep(0.2)
        if job["state"] != "done":
            raise ApiError(409, f"job {job_id} {job['state']}: {job['message']}")
        return job

    def export(self, slug: str, what: str, out: str | Path, **options: Any) -> Path:
        """Export "labels" or the "classifier" and write the file to `out`. options: format, history."""
        job = self.post(f"/projects/{quote(slug)}/exports", {"what": what, **options})
        name = self.wait(job["id"], slug)["result"]["file"]
        target = Path(out)
        with target.open("wb") as file:
            self._download(f"/projects/{quote(slug)}/exports/{quote(name)}", file)
        return target

    # Any route

    def get(self, path: str, **query: Any) -> Any:
        """GET /api/v1`path` as JSON."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", path + (f"?{urlencode(given)}" if given else ""))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST JSON to /api/v1`path`."""
        data = json.dumps(body, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        if path not in ONCE_ONLY:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        return self._send("POST", path, data, headers)

    def delete(self, path: str, **query: Any) -> None:
        """DELETE /api/v1`path`."""
        self._send("DELETE", path + (f"?{urlencode(query)}" if query else ""))

    def _pages(self, path: str, name: str, after: int | None = -1) -> Iterator[dict[str, Any]]:
        while after is not None:
            page = self.get(path, after=after, limit=500)
            yield from page[name]
            after = page["next"]

    def _send(
        self, method: str, path: str, body: bytes | BinaryIO | None = None, headers: Mapping[str, str] = {}
    ) -> Any:
        response = self._answered(method, path, body, headers)
        data = response.read()
        return json.loads(data) if data else None

    def _download(self, path: str, file: BinaryIO) -> None:
        response = self._answered("GET", path, None, {})
        while block := response.read(BLOCK):
            file.write(block)

    def _answered(
        self, method: str, path: str, body: bytes | BinaryIO | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """The response to the request, sent again while the server cannot be reached. Raises ApiError."""
        attempts = 1 if method == "POST" and path in ONCE_ONLY else ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                self._connection.request(method, self._base + path, body, {**self._headers, **headers})
                response = self._connection.getresponse()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                if attempt == attempts:
                    raise
            else:
                if response.status < 300:
                    return response
                words = _words(response.read())
                if method == "DELETE" and response.status == 404 and attempt > 1:
                    return response  # the first one did it, and its answer was lost
                if response.status not in RETRIED or attempt == attempts:
                    raise ApiError(response.status, words)
            if body is not None and not isinstance(body, bytes):
                body.seek(0)
            time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")


def _words(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        return data.decode("utf-8", "replace")[:500]
