"""How a labelling project comes to be: a file or a demo becomes a pool, a question and the labels it brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Column, Job
from plumbline_backend.import_places import UNFINISHED
from plumbline_backend.imported_labels import record_imported
from plumbline_backend.importers import OnProblem
from plumbline_backend.jobs.executors import Work
from plumbline_backend.pool.chosen import checked_parts
from plumbline_backend.pool.demos import demo_named
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.pool.pool import Pool
from plumbline_backend.registry import KINDS

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

LabelUse = Literal["reference", "training", "ignore"]
LABEL_USES: tuple[LabelUse, ...] = ("reference", "training", "ignore")
DEFAULT_KIND = "choice"


def start(
    workspace: Workspace,
    path: Path,
    name: str,
    columns: Sequence[Column],
    *,
    label_use: LabelUse = "reference",
    kind: str = DEFAULT_KIND,
    text: str = "",
    on_problem: OnProblem = "refuse",
    features: Sequence[FeaturePart] = (),
    by: str | None = None,
) -> Job:
    """`Workspace.start_import`."""
    if not name.strip():
        raise InputError(f"project name: found {name!r}; expected at least one character")
    if label_use not in LABEL_USES:
        raise InputError(f"label_use: found {label_use!r}; {did_you_mean(label_use, LABEL_USES)}")
    if label_use == "ignore":
        columns = [replace(c, role="ignore") if c.role == "label" else c for c in columns]
    parts = [part.to_dict() for part in checked_parts(features, columns)]
    asked = {
        "columns": [{**asdict(c), "examples": []} for c in columns],
        "label_use": label_use,
        "kind": kind,
        "text": text or KINDS.get(kind).question,
        "on_problem": on_problem,
        "features": parts,
    }
    spec = {"file": str(path.resolve()), **{key: asked[key] for key in ("columns", "on_problem", "features")}}
    made = {
        "name": name.strip(),
        "text": asked["text"],
        "label_use": label_use,
        "kind": kind,
        "guidelines": "",
        "demo": None,
        "by": by,
    }
    return _start(workspace, "import", spec, made, name, {"asked": asked})


def start_demo(workspace: Workspace, name: str, by: str | None = None) -> Job:
    """`Workspace.start_demo`."""
    demo = demo_named(name)
    made = {
        "name": demo.title,
        "text": demo.question,
        "label_use": "reference",
        "guidelines": demo.guidelines,
        "demo": name,
        "kind": DEFAULT_KIND,
        "by": by,
    }
    return _start(workspace, "demo", {"name": name}, made, name, {})


def asked_of(job: Job) -> dict[str, Any] | None:
    """What an import was started with, as arguments of `Workspace.start_import`; None where its row does not say."""
    asked = job.spec.get("asked")
    if asked is None:
        return None
    return {
        **asked,
        "name": job.spec["name"],
        "columns": [Column(**{**c, "examples": ()}) for c in asked["columns"]],
        "features": [FeaturePart.from_dict(part) for part in asked["features"]],
    }


def _start(
    workspace: Workspace,
    kind: str,
    spec: Mapping[str, Any],
    made: Mapping[str, Any],
    wanted: str,
    summary: Mapping[str, Any],
) -> Job:
    with workspace.places.reserved(wanted) as place:
        work = Work(kind, {**spec, "slug": place.slug, "folder": str(place.building), **_reserve(workspace)})
        return workspace.jobs.start(
            kind,
            None,
            work,
            on_result=lambda job, result: place.hand_over(
                lambda: _create(workspace, place.slug, made, result), lambda: workspace.jobs.is_ours(job)
            ),
            on_no_result=place.give_up,
            lane=f"import-{place.slug}",
            summary={"slug": place.slug, "name": made["name"], **summary},
        )


def _create(workspace: Workspace, slug: str, made: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Write the project's rows once its pool is complete on disk."""
    pool = Pool.open(workspace.folder / "pool" / slug)
    label = next((c.name for c in pool.columns if c.role == "label"), None)
    kind = KINDS.get(made["kind"])()
    classes = kind.first_classes(pool.value_counts(label) if label is not None else ())
    settings = {
        **_reserve(workspace),
        "strategy": workspace.settings["strategy"],
        "label_column": label,
        "label_use": made["label_use"],
        "n_skipped": result["n_skipped"],
        "demo": made["demo"],
        UNFINISHED: True,
    }
    store = workspace.store
    row = store.projects.create(slug, made["name"], pool.n_items, settings, made["by"])
    question = store.questions.create(
        row.id, made["text"], made["kind"], made["guidelines"], classes, by="import"
    )
    if label is not None and made["label_use"] == "training":
        record_imported(store, row.slug, question, kind, label, pool)


def _reserve(workspace: Workspace) -> dict[str, Any]:
    return {"stream_share": workspace.settings["stream_share"], "seed": workspace.settings["seed"]}
