"""What must not happen here because it happened elsewhere: docs/security.md names the advisory beside each test."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from team import OWN, Team, open_team

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pool.image_check import ImageRefusedError, check_image
from plumbline_backend.workspace import open_workspace

ROOT = Path(__file__).parent.parent.parent
SCRIPT = '<script>alert(1)</script><img src=x onerror="alert(1)">'
pytestmark = pytest.mark.filterwarnings("ignore:.*HTTPServerRequest:DeprecationWarning")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with open_team(tmp_path_factory.mktemp("security")) as opened:
        yield opened


# Headers.


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/login",
        "/p/things/data",
        "/p/nowhere/data",
        "/api/v1/projects",
        "/api/nothing",
        "/assets/shell.css",
        "/healthz",
    ],
)
def test_every_answer_carries_the_policy(team: Team, path: str) -> None:
    headers = team.client("boss").get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] in ("'self'", "'none'")
    assert policy.get("object-src", policy["default-src"]) == "'none'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())
    assert "content-security-policy-report-only" not in headers


def test_a_pages_own_scripts_are_marked_anew_each_time(team: Team) -> None:
    client, marks = team.client("boss"), []
    for _ in range(2):
        answer = client.get("/p/things/data")
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        assert "'unsafe-inline'" not in policy["script-src"]
        assert policy["script-src-attr"] == "'none'"
        marks.append(re.findall(r"'nonce-([\w-]{20,})'", policy["script-src"])[0])
        scripts = re.findall(r"<script([^>]*)>", answer.text)
        inline = [
            each for each in scripts if " src=" not in each and "json" not in each and "esms" not in each
        ]
        assert inline
        assert all(f'nonce="{marks[-1]}"' in each for each in inline)
    assert marks[0] != marks[1]


def test_a_refused_request_carries_it_too(team: Team) -> None:
    answer = team.client().get("/api/v1/projects")
    assert answer.status_code == 401
    assert "content-security-policy" in answer.headers


def test_what_is_downloaded_is_never_shown(team: Team) -> None:
    project = team.workspace.project("things")
    job = project.start_export("labels", format="csv")
    name = (team.workspace.jobs.wait(job.id).result or {})["file"]
    for path in (f"/api/projects/things/exports/{name}", f"/api/v1/projects/things/exports/{name}"):
        answer = team.client("boss").get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["../../plumbline.db", "..%2f..%2fsecret.key", "%2e%2e/secret.key", "/etc/passwd", "a%00b"]
)
def test_a_download_leaves_its_folder_by_no_name(team: Team, name: str) -> None:
    for base in ("/api/projects/things/exports/", "/api/v1/projects/things/exports/"):
        answer = team.client("boss").get(base + name)
        assert answer.status_code in (403, 404, 422), answer.status_code
        assert b"SQLite" not in answer.content


# Where requests come from.


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost.evil.example:5006",
        "http://evil.example",
        "http://localhost:50066",
        "http://notlocalhost:5006",
        "http://localhost:5006.evil.example",
        "null",
        "http://localhost:5006@evil.example",
    ],
)
def test_an_origin_must_be_this_server_to_the_last_letter(team: Team, origin: str) -> None:
    client = team.client("boss")
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("ws://localhost:5006/p/things/data/ws", headers={"origin": origin}),
    ):
        pass
    assert closed.value.code == 4403
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (
            client.request(method, "/api/v1/projects/things", headers={"origin": origin}).status_code == 403
        )


def test_a_name_that_resolves_to_this_machine_is_not_this_server(team: Team) -> None:
    headers = {"host": "rebound.example:5006", "origin": "http://rebound.example:5006"}
    for method in ("GET", "POST", "DELETE"):
        assert team.client("boss").request(method, "/api/v1/projects", headers=headers).status_code == 403


@pytest.mark.parametrize("query", ["bokeh-session-id=x", "bokeh_session_id=x", "a=b&Bokeh-Session-Id=x"])
def test_a_link_cannot_name_the_session_of_a_page(team: Team, query: str) -> None:
    assert team.client("boss").get(f"/p/things/data?{query}").status_code == 403


def test_no_page_can_be_read_from_elsewhere(team: Team) -> None:
    answer = team.client("boss").get("/api/v1/projects", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_nothing_is_started_by_a_link(team: Team) -> None:
    """What a link of somebody else's opens, with the cookie that goes with it, starts and changes nothing."""
    client, store = team.client("boss"), team.workspace.store
    state = [
        store.jobs.list(limit=1000),
        team.workspace.project("things").history(limit=1000),
        store.projects.list(),
    ]
    paths = [path for method, path in team.routes() if method == "GET" and path.startswith("/api/")]
    assert len(paths) > 30
    for path in paths:
        client.get(path, headers={"sec-fetch-site": "cross-site"})
    after = [
        store.jobs.list(limit=1000),
        team.workspace.project("things").history(limit=1000),
        store.projects.list(),
    ]
    assert after == state


# Uploads and files.


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/cron.d/x",
        "..\\..\\x.csv",
        "/etc/passwd",
        "a\0b.csv",
        "\u202egnp.csv",
        ".htaccess",
        "",
        "a" * 5000,
        "con:.csv",
    ],
)
def test_an_upload_lies_where_the_server_says(team: Team, name: str) -> None:
    from urllib.parse import quote

    client = team.client("boss")
    answer = client.post("/api/uploads", content=b"key,text\na,b\n", headers={"x-file-name": quote(name)})
    assert answer.status_code == 200, answer.text
    path = team.workspace.upload_path(answer.json()["upload"])
    assert path.parent.parent == team.workspace.folder / "uploads"
    assert re.fullmatch(r"[0-9a-f]{32}", path.parent.name)
    assert not path.name.startswith(".")
    assert len(path.name) <= 120


@pytest.mark.parametrize("upload_id", ["../secret", "..", "a" * 32 + "/..", "", "A" * 32, "0" * 31])
def test_an_upload_is_opened_by_its_id_alone(team: Team, upload_id: str) -> None:
    with pytest.raises(InputError):
        team.workspace.upload_path(upload_id)


def test_a_body_beyond_the_limit_leaves_nothing(tmp_path: Path) -> None:
    with open_team(tmp_path, settings={"upload_limit_mib": 1}) as team:
        before = set((team.workspace.folder / "uploads").iterdir())
        answer = team.client("boss").post(
            "/api/uploads", content=b"x" * (2 << 20), headers={"x-file-name": "big.csv"}
        )
        assert answer.status_code == 413
        assert set((team.workspace.folder / "uploads").iterdir()) == before


def png(width: int, height: int) -> bytes:
    """A PNG's head that claims this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    body = b"IDAT" + zlib.compress(b"\0")
    parts = [
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in (chunk, body, b"IEND")
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    with pytest.raises(ImageRefusedError, match="pixels"):
        check_image(png(30_000, 30_000))


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html></html>", b"%PDF-1.4"]
)
def test_only_pictures_are_pictures(content: bytes) -> None:
    with pytest.raises(ImageRefusedError):
        check_image(content)


def zip_of(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.zip", zip_of({"a.png": bytes(200 << 20)})),
        ("climb.zip", zip_of({"../../evil.png": png(2, 2), "/abs/evil.png": png(2, 2)})),
    ],
)
def test_an_archive_that_bursts_or_climbs_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with open_workspace(tmp_path / "workspace") as workspace, pytest.raises(InputError):
        workspace.inspect(file)
    assert not list(tmp_path.rglob("evil.png"))


def test_an_npz_with_objects_in_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "objects.npz"
    np.savez(file, X=np.array([{"a": 1}, {"b": 2}], dtype=object), y=np.array([0, 1]))
    with open_workspace(tmp_path / "workspace") as workspace, pytest.raises(InputError, match="object"):
        workspace.inspect(file)


# Text of people and data.


def test_a_comment_is_kept_as_it_was_said_and_sent_as_data(team: Team) -> None:
    client = team.client("annotator")
    path = "/api/projects/things/items/3/comments"
    said = client.post(path, json={"text": SCRIPT, "uuid": "u1"})
    assert said.status_code == 201
    assert said.headers["content-type"] == "application/json"
    assert client.get(path).json()[0]["text"] == SCRIPT
    comment_id = said.json()["id"]
    assert client.post(f"/api/projects/things/items/4/comments/{comment_id}/resolve").status_code == 404
    assert client.post(f"{path}/{comment_id}/resolve").json()["resolved_by"] == "annotator"


def test_a_blind_annotator_reads_only_their_own_comments(team: Team) -> None:
    path = "/api/projects/things/items/5/comments"
    team.client("editor").post(path, json={"text": "surely left", "uuid": "e1"})
    team.workspace.project("things").desk.team.share(blind=True)
    try:
        client = team.client("annotator")
        assert client.get(path).json() == []
        client.post(path, json={"text": "blurred", "uuid": "a1"})
        assert [each["text"] for each in client.get(path).json()] == ["blurred"]
        assert client.get("/api/v1/projects/things/judgements").status_code == 403
        assert client.get("/p/things/data").status_code == 403
    finally:
        team.workspace.project("things").desk.team.share(blind=False)


@pytest.mark.parametrize(
    "path",
    ["/p/%3Cscript%3Ealert(1)%3C%2Fscript%3E/data", "/invite/%3Cscript%3E", "/login?next=%22%3E%3Cscript%3E"],
)
def test_an_address_is_never_markup(team: Team, path: str) -> None:
    answer = team.client("boss" if path.startswith("/p") else None).get(path)
    assert "<script>alert(1)" not in answer.text
    assert "<script>" not in answer.text.split("<body", 1)[-1] or path.startswith("/p")


def test_filters_are_an_allowed_list(team: Team) -> None:
    client = team.client("boss")
    for query in (
        "person__password_hash__startswith=a",
        "judge__person__password_hash=1",
        "order_by=people.password_hash",
    ):
        answer = client.get(f"/api/v1/projects/things/judgements?{query}")
        assert (
            answer.status_code == 422
            or answer.json() == client.get("/api/v1/projects/things/judgements").json()
        )
        assert "argon2" not in answer.text


def test_no_answer_of_the_api_has_a_secret_in_it(team: Team) -> None:
    client: TestClient = team.client("boss")
    for path in (
        "/api/v1/projects",
        "/api/v1/tokens",
        "/api/v1/projects/things/judges",
        "/api/openapi.json",
        "/healthz",
    ):
        text = client.get(path).text
        assert "argon2id$" not in text
        assert json.dumps(team.people.page_key.hex()) not in text
    assert OWN.startswith("http://localhost")
