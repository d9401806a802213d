"""What the source must not contain: code that runs what it reads, and markup made of data. See docs/security.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def sources() -> list[Path]:
    return [path for part in ("app", "backend", "kernels") for path in sorted((ROOT / part).rglob("*.py"))]


def test_the_search_sees_the_source() -> None:
    assert len(sources()) > 200


FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
    "jsonpickle",
    "_pickle",
}
FORBIDDEN_CALLS = {
    "torch.load",
    "pd.read_pickle",
    "pandas.read_pickle",
    "joblib.load",
    "yaml.load",
    "np.memmap.load",
}


def unsafe_uses(source: str) -> list[str]:
    """Imports of modules that run what they read, calls that do, and arrays read with their objects."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS:
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                found.append(
                    f"{called}(weights_only=True)" if given.get("weights_only") == "True" else called
                )
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    found.append(f"{called}(allow_pickle=...)")
                if keyword.arg == "trusted" and ast.unparse(keyword.value) == "True":
                    found.append(f"{called}(trusted=True)")
    return found


OWN_PICKLES = {"backend/plumbline_backend/plugins.py", "backend/plumbline_backend/plugin_host.py"}
"""A request that the server writes into a private folder for its own worker. What comes back is NPZ without objects."""
OWN_CHECKPOINTS = {"backend/plumbline_backend/heads/checkpoints.py"}
"""A training's own state between two rounds, which the server wrote; of tensors and numbers alone."""


def test_nothing_that_is_read_is_run() -> None:
    offenders = {
        str(path.relative_to(ROOT)): found for path in sources() if (found := unsafe_uses(path.read_text()))
    }
    for name in OWN_CHECKPOINTS & set(offenders):
        assert set(offenders.pop(name)) == {"torch.load(weights_only=True)"}, name
    assert all(found == ["pickle"] for name, found in offenders.items() if name in OWN_PICKLES)
    assert set(offenders) <= OWN_PICKLES


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import dill",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml.load(text)",
        "skops.io.load(path, trusted=True)",
    ],
)
def test_the_search_would_find_an_offender(source: str) -> None:
    assert unsafe_uses(source)


MARKUP = {"pn.pane.HTML", "pn.pane.Markdown", "pn.pane.Alert", "pn.pane.DataFrame", "pn.widgets.StaticText"}
WITH_MARKUP = {
    "app/plumbline_app/components/words.py",
    "app/plumbline_app/components/figures.py",
    "app/plumbline_app/components/item_detail.py",
    "app/plumbline_app/components/project_cards.py",
    "app/plumbline_app/components/reasons.py",
}
"""The only files that make markup; what they put into it goes through `html.escape`."""


def test_markup_is_made_in_few_places_and_each_escapes() -> None:
    found = set()
    for path in (path for path in sources() if "plumbline_app" in path.parts):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if any(ast.unparse(call.func) in MARKUP for call in calls):
            found.add(str(path.relative_to(ROOT)))
            used = any(ast.unparse(call.func) == "escape" for call in calls)
            assert used or path.name == "figures.py", f"{path} makes markup and calls escape nowhere"
    assert found <= WITH_MARKUP


def test_scripts_of_ours_make_no_markup_from_values() -> None:
    """innerHTML is given constants alone: a template with ${...} in it could carry data."""
    for path in (ROOT / "app").rglob("*.js"):
        text = path.read_text()
        for found in re.finditer(r"(innerHTML|outerHTML)\s*=\s*(`[^`]*`|[^;]*)", text):
            assert "${" not in found.group(2), (path.name, found.group(0)[:80])
            assert found.group(2).startswith(("`", '"', "'")), (path.name, found.group(0)[:80])
        for call in ("insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert call not in text, (path.name, call)
