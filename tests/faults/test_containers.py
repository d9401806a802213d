"""The container files say what they should. No engine runs here: they are read, and the same processes are started
by hand in test_three_processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES = sorted(COMPOSE["services"])


def test_there_are_postgres_server_and_workers() -> None:
    assert SERVICES == ["postgres", "server", "worker", "worker-gpu"]
    assert COMPOSE["services"]["worker-gpu"]["profiles"] == ["gpu"]


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w*(?:PASSWORD|TOKEN|SECRET|KEY)\w*)(:?[?-])?", text))
    assert {name for name, _ in used} == {"POSTGRES_PASSWORD", "RAY_AUTH_TOKEN"}
    assert {kind for _, kind in used} == {":?"}, "each is demanded, none has a value of ours"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(POSTGRES_PASSWORD|RAY_AUTH_TOKEN)=(.*)$", example, re.MULTILINE) == [
        ("POSTGRES_PASSWORD", ""),
        ("RAY_AUTH_TOKEN", ""),
    ]
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined_checked_and_restarted(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["restart"] == "unless-stopped"
    assert "inside" in service["networks"]
    assert "healthcheck" in service or name == "server", "the server's is in its image"
    assert "privileged" not in service
    if name != "postgres":
        assert service["cap_drop"] == ["ALL"]
    if name != "server":
        assert "ports" not in service, "only the server is reached from outside"


def test_only_this_machine_reaches_the_server_and_nothing_else_leaves_the_inside() -> None:
    assert COMPOSE["services"]["server"]["ports"] == ["127.0.0.1:5006:5006"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", [n for n in SERVICES if n.startswith(("worker", "server"))])
def test_ray_asks_for_its_token_everywhere_and_has_no_dashboard(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["environment"]["RAY_AUTH_MODE"] == "token"
    assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")
    if name.startswith("worker"):
        assert service["entrypoint"][:3] == ["ray", "start", "--head"]
        assert "--include-dashboard=false" in service["entrypoint"]
        assert set(service["networks"]) == {"inside"}, "its ports are on the inner network alone"
        assert not {"ports", "network_mode", "expose"} & set(service)


KNOWN = {
    "build", "image", "restart", "init", "read_only", "cap_drop", "security_opt", "networks", "entrypoint",
    "environment", "volumes", "tmpfs", "shm_size", "healthcheck", "depends_on", "ports",
    "stop_grace_period", "profiles", "deploy",
}  # fmt: skip
"""Members of a service as the Compose specification names them, of those that are used here."""


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_only_members_that_compose_knows_in_the_shape_that_it_reads(name: str) -> None:
    service = COMPOSE["services"][name]
    assert set(service) <= KNOWN
    assert {"image"} <= set(service)
    assert isinstance(service["environment"], dict)
    assert all(isinstance(value, str) for value in service["environment"].values()), "no number or bare yes"
    for member in ("volumes", "tmpfs", "ports", "cap_drop", "security_opt"):
        assert all(isinstance(each, str) for each in service.get(member, [])), member
    for check in [service["healthcheck"]] if "healthcheck" in service else []:
        assert set(check) <= {"test", "interval", "timeout", "start_period", "retries"}
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert all(re.fullmatch(r"\d+s", check[each]) for each in ("interval", "timeout", "start_period"))
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for other, how in service.get("depends_on", {}).items():
        assert other in COMPOSE["services"]
        assert how == {"condition": "service_healthy"}
    assert set(COMPOSE) <= {"name", "services", "networks", "volumes", "x-plumbline", "x-ray", "x-worker"}


def test_every_volume_that_is_used_is_declared() -> None:
    used = {
        mount.split(":")[0]
        for service in COMPOSE["services"].values()
        for mount in service.get("volumes", [])
    }
    assert used == set(COMPOSE["volumes"])


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(stages) == 2
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "pip install" not in last
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["plumbline"\]$', last, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path
            assert f"!{path}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
