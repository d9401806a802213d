"""Bad input at the API's door: every file of the importers' tables and more, bad names, bad answers, bad exports.

Each is refused in words or kept exactly; nothing half-made stays, and no answer is a 5xx.
"""

from __future__ import annotations

import csv
import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from api_app import make_app
from astropy.io import fits
from fastapi.testclient import TestClient
from PIL import Image

from plumbline_backend.domain.errors import ImportRefusedError, JobFailedError
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent.parent / "importers"))
from test_import_bad_input import COLUMN_NAMES, KEPT, REFUSED
from test_import_typed import write_fits, write_parquet

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
MARKUP = (
    SCRIPT,
    "[x](javascript:alert(1))",
    "<svg onload=alert(1)>",
    "\u202egnp.exe",
    "__proto__",
    "=1+1",
    "a'\"`b",
)


class Door:
    """The API over a workspace of its own; each answer is looked at for a 5xx."""

    def __init__(self, http: TestClient, workspace: Workspace) -> None:
        self.http, self._workspace = http, workspace

    def ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, f"/api/v1{path}", **options)
        assert answer.status_code < 500, (method, path, answer.text[:500])
        return answer

    def bring(self, file: str, content: bytes, **body: Any) -> tuple[str, str]:
        """Import a file as a person's script does. Returns the new slug, or "" and the words of the refusal."""
        uploaded = self.ask("POST", f"/uploads?name={quote(file, safe='')}", content=content)
        if uploaded.status_code >= 400:
            return "", uploaded.json()["error"]
        given = {"upload": uploaded.json()["upload"], "name": "brought", **body}
        started = self.ask("POST", "/projects", json=given)
        if started.status_code >= 400:
            return "", started.json()["error"]
        job = self.ended(started.json()["id"], f"/jobs/{started.json()['id']}")
        if job["state"] == "failed":
            return "", job["message"]
        assert job["state"] == "done", job
        return job["result"]["slug"], ""

    def ended(self, job_id: int, path: str) -> dict[str, Any]:
        """The job as the API tells it once it has ended."""
        with suppress(JobFailedError, ImportRefusedError):
            self._workspace.jobs.wait(job_id)
        return self.ask("GET", path).json()  # type: ignore[no-any-return]

    def items(self, slug: str) -> list[dict[str, Any]]:
        return self.ask("GET", f"/projects/{slug}/items?limit=1000").json()["items"]  # type: ignore[no-any-return]

    def projects(self) -> list[str]:
        return [each["slug"] for each in self.ask("GET", "/projects").json()["projects"]]

    def pools(self) -> list[str]:
        return sorted(path.name for path in (self._workspace.folder / "pool").iterdir())


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("doors") / "workspace"
    with (
        open_workspace(folder, settings={"worker_threads": 1}, executor=InlineExecutor()) as workspace,
        TestClient(make_app(workspace), raise_server_exceptions=False) as http,
    ):
        yield Door(http, workspace)


def refused(door: Door, file: str, content: bytes, **body: Any) -> str:
    """The words of a refusal that leaves nothing behind."""
    before = door.projects(), door.pools()
    slug, words = door.bring(file, content, **body)
    assert slug == "", "it was imported"
    assert (door.projects(), door.pools()) == before
    return words


@pytest.mark.parametrize(
    ("name", "content", "roles", "message"),
    [pytest.param(*row[1:], id=row[0]) for row in REFUSED if row[2]],
)
def test_what_the_importers_refuse_is_refused_in_their_words(
    door: Door, name: str, content: bytes, roles: dict[str, str], message: str
) -> None:
    words = refused(door, name, content, roles=roles)
    said = message.encode("utf-8", "backslashreplace").decode()
    assert said in words, words


@pytest.mark.parametrize(
    ("content", "roles", "column", "values"), [pytest.param(*row[1:], id=row[0]) for row in KEPT]
)
def test_what_the_importers_keep_comes_out_as_it_was(
    door: Door, content: bytes, roles: dict[str, str], column: str, values: list[object]
) -> None:
    chosen = roles if column in ("id", "x") else {**roles, column: "text"}
    slug, words = door.bring("kept.csv", content, roles=chosen)
    assert slug, words
    items = door.items(slug)
    shown = [item["key"] if column == "id" else item["fields"][column] for item in items]
    assert [None if value == "" and None in values else value for value in shown] == values
    if column == "id":
        for key in values:
            assert door.ask("GET", f"/projects/{slug}/item-by-key", params={"key": key}).status_code == 200


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30), kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, options.pop("color", 0)).save(out, kind, **options)
    return out.getvalue()


def pixels(width: int, height: int) -> bytes:
    """A PNG whose head claims this size and that holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def zip_of(entries: dict[str, bytes], link: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def npz_of(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


GOOD = picture()
VARIED = picture(size=(8, 8), color="red")
ARCHIVES: dict[str, tuple[str, bytes, str]] = {
    "no bytes": ("a.csv", b"", "found 0 bytes"),
    "a truncated picture": (
        "a.zip",
        zip_of({"a.png": picture(size=(300, 300))[:120], "b.png": GOOD}),
        "truncated",
    ),
    "an empty picture": ("a.zip", zip_of({"a.png": b"", "b.png": GOOD}), "not an empty file"),
    "900 million pixels": ("a.zip", zip_of({"a.png": pixels(30_000, 30_000), "b.png": GOOD}), "pixels"),
    "SVG as PNG": ("a.zip", zip_of({"a.png": b"<svg onload=alert(1)>", "b.png": GOOD}), "one of the formats"),
    "a bomb": ("a.zip", zip_of({"a.png": bytes(200 << 20)}), "at most 100 times its size"),
    "a link": ("a.zip", zip_of({"b.png": GOOD}, link="a.png"), "files, not links"),
    "an absolute path": ("a.zip", zip_of({"/etc/a.png": GOOD}), "inside the zip's own folder"),
    "a path that climbs": ("a.zip", zip_of({"../../a.png": GOOD}), "inside the zip's own folder"),
    "infinite features": ("a.npz", npz_of(X=np.array([[1.0], [np.inf]])), "finite numbers"),
    "beyond float32": ("a.npz", npz_of(X=np.array([[1.0], [1e300]])), "finite numbers"),
    "no rows": ("a.npz", npz_of(X=np.zeros((0, 3))), "at least one row"),
    "objects": ("a.npz", npz_of(X=np.array([{}], dtype=object)), "arrays of Python objects need pickle"),
    "labels of another length": ("a.npz", npz_of(X=np.zeros((3, 2)), y=np.zeros(2)), "3 labels"),
    "an unknown kind": ("a.exe", b"MZ", "unknown kind of file '.exe'"),
    "pickle": ("a.pkl", b"\x80\x04.", "unknown kind of file '.pkl'"),
    "FITS of a picture": ("a.fits", b"SIMPLE  =                    T" + b" " * 2850, "a.fits"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_and_arrays_that_mean_harm_are_refused(door: Door, case: str) -> None:
    name, content, words = ARCHIVES[case]
    assert words in refused(door, name, content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(picture("CMYK", kind="JPEG"), id="CMYK"),
        pytest.param(picture("I;16"), id="16-bit"),
        pytest.param(
            picture(kind="GIF", save_all=True, append_images=[Image.new("RGB", (40, 30))]), id="moves"
        ),
        pytest.param(picture(kind="BMP"), id="wrong extension"),
    ],
)
def test_unusual_pictures_are_kept_and_served_as_pictures(door: Door, content: bytes) -> None:
    slug, words = door.bring("pictures.zip", zip_of({"a/1.png": content, "b/2.png": VARIED}))
    assert slug, words
    answer = door.http.get(f"/api/projects/{slug}/items/0/image")
    assert answer.status_code == 200
    assert answer.headers["content-type"] in ("image/png", "image/jpeg")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(("name", "write"), [("a.parquet", write_parquet), ("a.fits", write_fits)])
def test_every_awkward_type_comes_out_as_json(
    door: Door, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    slug, words = door.bring(name, (tmp_path / name).read_bytes())
    assert slug, words
    assert len(door.items(slug)) in (2, 3)
    lines = door.ask("GET", f"/projects/{slug}/items.jsonl").text.splitlines()
    assert [json.loads(line)["position"] for line in lines] == list(range(len(lines)))


def test_a_fits_file_without_a_table_is_refused(door: Door) -> None:
    out = io.BytesIO()
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(out)
    assert "a table extension" in refused(door, "a.fits", out.getvalue())


def test_any_column_name_is_kept_and_can_be_given_a_role(door: Door) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([COLUMN_NAMES, [f"r{i}" for i in range(len(COLUMN_NAMES))], ["s"] * 12])
    roles = {name: "text" for name in COLUMN_NAMES if name != "id"}
    slug, words = door.bring("names.csv", out.getvalue().encode(), roles=roles)
    assert slug, words
    assert set(door.items(slug)[0]["fields"]) | {"id"} == set(COLUMN_NAMES)
    words = refused(door, "names.csv", out.getvalue().encode(), roles={"nothing": "text"})
    assert words.startswith("roles: no column 'nothing'")


@pytest.mark.parametrize("name", [*MARKUP, "../../x", "CON", "x" * 100, "日本"])
def test_any_name_of_a_project_is_kept_and_none_leads_elsewhere(door: Door, name: str) -> None:
    slug, words = door.bring("named.csv", b"id,t\n1,one text\n2,two text\n", name=name)
    assert slug, words
    assert door.ask("GET", f"/projects/{slug}").json()["name"] == name
    assert slug in door.pools()
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", None, 7, {"$ne": 1}])
def test_names_that_are_none_are_refused(door: Door, name: Any) -> None:
    assert refused(door, "named.csv", b"id,t\n1,one text\n2,two text\n", name=name)


@pytest.fixture(scope="module")
def labelled(door: Door) -> str:
    """A project whose keys, texts, labels and classes are all markup, formulas and odd characters."""
    rows = [[f"{text} {i}", text, "Cat" if i % 2 else "cat "] for i, text in enumerate(MARKUP * 4)]
    rows += [[f"{start}cmd|x {i}", "plain text", "Cat"] for i, start in enumerate("=+-@\t\r")]
    out = io.StringIO()
    csv.writer(out).writerows([["key", "text", "label"], *rows])
    roles = {"key": "id", "text": "text", "label": "label"}
    slug, words = door.bring("odd.csv", out.getvalue().encode(), roles=roles)
    assert slug, words
    return slug


def test_labels_that_look_alike_stay_two_classes(door: Door, labelled: str) -> None:
    assert {c["name"] for c in door.ask("GET", f"/projects/{labelled}/question").json()["classes"]} == {
        "Cat",
        "cat ",
    }


def answer(uuid: str, item: int, class_id: Any, **more: Any) -> dict[str, Any]:
    return {"judgements": [{"uuid": uuid, "item": item, "class_id": class_id, **more}]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer("b1", 0, "Dog"), "not in the schema"),
        (answer("b2", 0, ""), "class"),
        (answer("b3", 0, None), "class"),
        (answer("b4", 10**6, "c1"), "expected 0 to"),
        (answer("b5", 0, "c1", stratum="stolen"), "stratum"),
        (answer("b6", 0, "c1", query_id=10**9), "quer"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_in_words(
    door: Door, labelled: str, body: dict[str, Any], words: str
) -> None:
    said = door.ask("POST", f"/projects/{labelled}/judgements", json=body)
    if said.status_code == 200:
        (ack,) = said.json()["acks"]
        assert ack["ok"] is False
        assert words in ack["error"]
    else:
        assert said.status_code == 422
        assert words in said.json()["error"]
    assert door.ask("GET", f"/projects/{labelled}/judgements").json()["judgements"] == []


def test_notes_are_kept_as_written_and_cells_begin_no_formula(door: Door, labelled: str) -> None:
    classes = [c["id"] for c in door.ask("GET", f"/projects/{labelled}/question").json()["classes"]]
    items = door.items(labelled)
    notes = {item["position"]: (MARKUP * 9)[item["position"]] for item in items}
    for position, note in notes.items():
        body = answer(f"n{position}", position, classes[position % 2], note=note)
        assert door.ask("POST", f"/projects/{labelled}/judgements", json=body).json()["acks"][0]["ok"]
    said = door.ask("GET", f"/projects/{labelled}/judgements?limit=1000").json()["judgements"]
    assert {row["item"]: row["note"] for row in said} == notes
    safe = export(door, labelled, format="csv")
    exact = export(door, labelled, format="csv", spreadsheet_safe=False)
    cells = [cell for row in csv.reader(io.StringIO(safe, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    keys = {item["key"] for item in items}
    found = {cell for row in csv.reader(io.StringIO(exact, newline="")) for cell in row}
    assert keys <= found
    assert {key for key in keys if key.startswith("=")}, "the check above had something to find"
    assert {
        json.loads(line)["item_key"] for line in export(door, labelled, format="jsonl").splitlines()
    } == keys


def export(door: Door, slug: str, **options: Any) -> str:
    job = door.ask("POST", f"/projects/{slug}/exports", json={"what": "labels", **options}).json()
    name = door.ended(job["id"], f"/projects/{slug}/jobs/{job['id']}")["result"]["file"]
    answered = door.ask("GET", f"/projects/{slug}/exports/{quote(name)}")
    assert answered.headers["content-disposition"].startswith("attachment")
    content: bytes = answered.content
    return content.decode("utf-8-sig")


FEATURES: dict[str, dict[str, Any]] = {
    "missing": {
        "X": np.where(np.eye(12, 4, dtype=bool), np.nan, np.arange(48.0).reshape(12, 4)),
        "y": list("ab" * 6),
    },
    "all missing": {"X": np.full((12, 4), np.nan), "y": list("ab" * 6)},
    "constant": {"X": np.ones((12, 4)), "y": list("ab" * 6)},
    "one class": {"X": np.arange(24.0).reshape(12, 2), "y": ["a"] * 12},
    "one row": {"X": np.ones((1, 3))},
    "half": {"X": np.array([[65504.0], [-65504.0], [1.0], [2.0]], np.float16), "y": list("abab")},
}


@pytest.mark.parametrize("case", FEATURES)
def test_odd_features_are_asked_learned_and_predicted_or_refused_in_words(door: Door, case: str) -> None:
    slug, words = door.bring("odd.npz", npz_of(**FEATURES[case]))
    assert slug or words
    if not slug:
        return
    base = f"/projects/{slug}"
    classes = [c["id"] for c in door.ask("GET", f"{base}/question").json()["classes"]]
    for _ in range(3):
        asks = door.ask("POST", f"{base}/next", json={"holder": "h", "n": 4}).json()["asks"]
        given = [
            {"uuid": f"{case} {ask['item']['position']}", "item": ask["item"]["position"],
             "class_id": classes[ask["item"]["position"] % len(classes)],
             "query_id": ask["query_id"], "stratum": ask["stratum"]}
            for ask in asks if classes
        ]  # fmt: skip
        if given:
            acks = door.ask("POST", f"{base}/judgements", json={"judgements": given}).json()["acks"]
            assert all(ack["ok"] for ack in acks)
        fitted = door.ask("POST", f"{base}/fit").json()
        if fitted is not None:
            door.ended(fitted["id"], f"{base}/jobs/{fitted['id']}")
    said = door.ask("POST", f"{base}/predictions", json={"items": [0]}).json()
    for row in said["proba"]:
        assert abs(sum(row) - 1) < 1e-6
        assert min(row) >= 0
