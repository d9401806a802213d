"""Holds the layout of DESIGN: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "kernels": ROOT / "kernels" / "plumbline_kernels",
    "backend": ROOT / "backend" / "plumbline_backend",
    "app": ROOT / "app" / "plumbline_app",
}
MAX_LINES = 400
TRAVELS_ALONE = {"backend/plumbline_backend/exporters/classifier/predict.py": 520}
"""Copied into every export as its only code, so it cannot be spread over modules."""


def modules_imported_by(path: Path) -> set[str]:
    """Full dotted names, imports inside functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(package: str, below: str = "") -> Iterator[Path]:
    yield from sorted((PACKAGES[package] / below).rglob("*.py"))


def offenders(paths: Iterator[Path], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(modules_imported_by(path))
        if name.split(".")[0] in forbidden
    ]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("kernels", ("plumbline_backend", "plumbline_app", "sqlalchemy", "panel", "bokeh", "fastapi")),
        ("backend", ("plumbline_app", "panel", "bokeh", "panel_material_ui")),
    ],
)
def test_imports_point_downwards(package, forbidden):
    assert offenders(sources(package), forbidden) == []


def test_code_from_outside_is_executed_in_the_sandboxs_child_only():
    """`exec` and `eval` stand in one file, which only the sandbox's own server process imports."""
    calls = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval")
    }
    sandbox = "plumbline_backend.judges.sandbox"
    importers = {
        (path.name, name)
        for package in PACKAGES
        for path in sources(package)
        for name in modules_imported_by(path)
        if name in (f"{sandbox}.child", f"{sandbox}.server")
    }
    assert calls == {"backend/plumbline_backend/judges/sandbox/child.py"}
    assert importers == {("server.py", f"{sandbox}.child")}


def test_only_the_store_knows_sqlalchemy():
    outside = (p for p in sources("backend") if "store" not in p.relative_to(PACKAGES["backend"]).parts)
    assert offenders(outside, ("sqlalchemy", "alembic")) == []
    assert offenders(sources("app"), ("sqlalchemy", "alembic")) == []


def test_only_the_api_knows_fastapi_below_the_app():
    outside = (p for p in sources("backend") if "api" not in p.relative_to(PACKAGES["backend"]).parts)
    assert offenders(outside, ("fastapi", "starlette")) == []


def test_domain_is_pure():
    allowed = sys.stdlib_module_names | {"numpy", "plumbline_backend"}
    for path in sources("backend", "domain"):
        for name in modules_imported_by(path):
            assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
            if name.startswith("plumbline_backend."):
                assert name.startswith("plumbline_backend.domain"), f"{path.name} imports {name}"


def test_the_check_would_find_an_offender(tmp_path):
    source = tmp_path / "bad.py"
    source.write_text("def f():\n    from sqlalchemy import text\n    import panel.pane\n")
    assert modules_imported_by(source) == {"sqlalchemy", "sqlalchemy.text", "panel.pane"}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_file_is_crowded(package):
    crowded = {
        str(path.relative_to(ROOT)): n
        for path in sources(package)
        if (n := len(path.read_text(encoding="utf-8").splitlines()))
        > TRAVELS_ALONE.get(str(path.relative_to(ROOT)), MAX_LINES)
    }
    assert crowded == {}
