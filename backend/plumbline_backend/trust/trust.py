"""A project's judges that give probabilities, and what is measured of them."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_scores import bayes_threshold
from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import Job, Judge, Positions
from plumbline_backend.evaluation import to_schema
from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.store import Store
from plumbline_backend.trust.annotators import AnnotatorReport, annotator_report
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.predictions import Predictions, from_proba
from plumbline_backend.trust.scope import ScopeDesk
from plumbline_backend.trust.serving import SERVING, ServedCalibrator

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MIN_ITEMS = 20
"""Below this nothing is fitted or shown: ten items on either side say nothing about a rate."""
_RESERVED = frozenset({"logits", "probs", "labels", "classes", "file", "allow_pickle"})
SLICE_ROLES = ("category", "metadata")
SPLITS = {
    "a random half": "random:0",
    "the first half": "half",
    "30 % to fit, 70 % to show": "0.3",
}
"""Ways to part the items, in words and as `split_rows` takes them."""


@dataclass(frozen=True)
class JudgeChoice:
    """A judge whose probabilities can be compared with people's answers, on n items."""

    key: str
    name: str
    n: int


@dataclass(frozen=True)
class OperatingChoice:
    """Say `label_class` (its name) from this probability on, chosen for these costs of a false alarm and of a miss."""

    label_class: str
    threshold: float
    cost_fp: float
    cost_fn: float


class Trust:
    """Collects predictions beside people's answers and has them measured in a worker."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        self._project, self._store, self._jobs = project, store, jobs
        self.scope = ScopeDesk(project, jobs)
        self.served_calibrator = ServedCalibrator(project)
        self.folder = project.exports_folder.parent.parent / "trust" / project.slug

    def judges(self) -> list[JudgeChoice]:
        """The newest head on the random stream, other judges that gave probabilities, and outside files."""
        found = []
        model = self._project.loop.newest_model()
        if model is not None:
            n = len(self._stream(model.metrics["classes"])[0])
            found.append(JudgeChoice("head", f"Head, version {model.version}", n))
        for judge in self._store.judges.for_project(self._project.row.id):
            if judge.kind not in ("person", "head"):
                n = len(self._given(judge)[0])
                if n:
                    found.append(JudgeChoice(f"judge-{judge.id}", judge.name, n))
        for path in sorted(self.folder.glob("outside-*.*")):
            found.append(JudgeChoice(path.name, _shown_name(path), read_predictions(path).n))
        return found

    def add_outside(self, path: Path, name: str) -> JudgeChoice:
        """Keep a file of outside predictions in the project. Raises InputError when it cannot be read as such."""
        predictions = read_predictions(path)
        clean = re.sub(r"[^\w.\- ]", "_", Path(name).stem).strip()[:60] or "predictions"
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / f"outside-{clean}{path.suffix.lower()}"
        shutil.copyfile(path, kept)
        return JudgeChoice(kept.name, _shown_name(kept), predictions.n)

    def predictions(self, key: str) -> Predictions:
        """The probabilities of a judge on the items that people answered. Raises NotFoundError."""
        if key == "head":
            return self._of_head()
        if key.startswith("judge-") and key.removeprefix("judge-").isdecimal():
            return self._of_judge(self._store.judges.get(int(key.removeprefix("judge-"))))
        if key in {path.name for path in self.folder.glob("outside-*.*")}:
            return read_predictions(self.folder / key)
        raise NotFoundError(f"judge {key!r} gives no probabilities in project {self._project.slug!r}")

    def start(self, keys: Sequence[str], split: str, calibrators: Sequence[str] | None = None) -> Job:
        """Measure these judges in the background; the job's result names the file that `measured` reads.

        Raises InputError without a judge, and where one has fewer than 20 items.
        """
        if not keys:
            raise InputError("judges: found none; expected at least one to measure")
        names = {choice.key: choice.name for choice in self.judges()}
        folder = self.folder / "runs" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        judges = []
        for i, key in enumerate(keys):
            predictions = self.predictions(key)
            if predictions.n < MIN_ITEMS:
                raise InputError(
                    f"{names.get(key, key)}: n = {predictions.n} items with people's answers is too small; "
                    f"expected at least {MIN_ITEMS}"
                )
            file = folder / f"judge-{i}.npz"
            _save(predictions, file)
            judges.append({"key": key, "name": names.get(key, key), "file": str(file)})
        spec = {
            "judges": judges,
            "split": split,
            "calibrators": None if calibrators is None else list(calibrators),
            "seed": self._project.seed,
            "out": str(folder / "measured.json"),
        }
        lane = f"calibration-{self._project.row.id % 2}"
        return self._jobs.start(
            "calibration",
            self._project.row.id,
            Work("calibration", spec),
            lambda *_: self._keep_newest(folder),
            lane,
            {"split": split},
        )

    def use_calibrator(self, name: str) -> None:
        """Serve with this calibrator from now on: predictions, reports and exports go through it.

        Raises InputError for a name that is no calibrator's.
        """
        if name not in SERVING:
            raise InputError(f"calibrator to serve with: found {name!r}; {did_you_mean(name, SERVING)}")
        self._project.set_settings(calibrator=name)

    def operating_point(self, key: str) -> OperatingChoice | None:
        """The threshold that was chosen for this judge; None before."""
        kept = self._project.settings().get("operating_points", {}).get(key)
        return None if kept is None else OperatingChoice(**kept)

    def choose_operating_point(self, key: str, chosen: OperatingChoice) -> None:
        """Keep a threshold for this judge, with the class and the costs it was chosen for.

        Raises InputError on costs that are not positive and a threshold outside [0, 1].
        """
        bayes_threshold(chosen.cost_fp, chosen.cost_fn)
        if not 0 <= chosen.threshold <= 1:
            raise InputError(f"threshold: found {chosen.threshold}; expected a number from 0 to 1")
        others = dict(self._project.settings().get("operating_points", {}))
        self._project.set_settings(operating_points={**others, key: asdict(chosen)})

    def annotators(self, method: str = "dawid_skene") -> AnnotatorReport:
        """How far people agree, who answers how, and where they differ. Raises InputError on an unknown method."""
        return annotator_report(self._project, self._store, method)

    def measured(self) -> list[dict[str, Any]]:
        """What the page draws of each judge of the newest finished run; empty before the first."""
        runs = sorted((self.folder / "runs").glob("*/measured.json"), key=lambda path: path.stat().st_mtime)
        if not runs:
            return []
        judges: list[dict[str, Any]] = json.loads(runs[-1].read_text(encoding="utf-8"))["judges"]
        return judges

    def _keep_newest(self, folder: Path) -> None:
        for other in (self.folder / "runs").iterdir():
            if other != folder and (other / "measured.json").exists():
                shutil.rmtree(other)

    def _of_head(self) -> Predictions:
        """The newest head on the stream: its classes only; answers of other classes are left out."""
        model = self._project.loop.newest_model()
        if model is None:
            raise NotFoundError("there is no model yet; answer items of two classes first")
        items, targets = self._stream(model.metrics["classes"])
        question = self._project.question()
        names = {c.id: c.name for c in question.classes}
        classes = tuple(dict.fromkeys(names[question.resolve(c)] for c in model.metrics["classes"]))
        head = load_head(self._project.folders.models / model.folder)
        logits = head.logits(self._project.pool.features.gather(items))
        shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
        proba = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        if len(classes) < logits.shape[1]:  # classes were merged since: their probabilities add up
            columns = [classes.index(names[question.resolve(c)]) for c in model.metrics["classes"]]
            proba = to_schema(proba, columns, len(classes))
            return from_proba("head", proba, targets, classes, self._slices(items))
        return Predictions("head", classes, proba, logits, targets, self._slices(items))

    def _stream(self, trained: Sequence[str]) -> tuple[Positions, NDArray[np.int64]]:
        question = self._project.question()
        self._project.loop.answers.refresh()
        classes = tuple(dict.fromkeys(question.resolve(c) for c in trained))
        labels = self._project.loop.answers.stream(question, classes)
        known = labels.targets >= 0
        return labels.items[known], labels.targets[known]

    def _of_judge(self, judge: Judge) -> Predictions:
        items, proba, targets = self._given(judge)
        names = tuple(c.name for c in self._project.question().active)
        try:
            return from_proba(judge.name, proba, targets, names, self._slices(items))
        except InputError as error:
            raise InputError(f"{judge.name}: {error}") from error

    def _given(self, judge: Judge) -> tuple[Positions, NDArray[np.float64], NDArray[np.int64]]:
        """Items that the judge gave probabilities for and people answered."""
        question = self._project.question()
        answers = self._project.loop.answers
        answers.refresh()
        index = {c.id: k for k, c in enumerate(question.active)}
        rows = []
        for row in self._store.ledger.current(question.id, judge_id=judge.id):
            if row.proba is None or len(row.proba) != len(index) or not answers.of(row.item):
                continue
            said = answers.choice(row.item, question)
            if said is not None:
                rows.append((row.item, row.proba, index[said]))
        proba = np.array([r[1] for r in rows], dtype=np.float64).reshape(len(rows), len(index))
        return (
            np.array([r[0] for r in rows], dtype=np.int64),
            proba,
            np.array([r[2] for r in rows], dtype=np.int64),
        )

    def _slices(self, items: Positions) -> Mapping[str, NDArray[Any]]:
        pool = self._project.pool
        return {
            column.name: np.array([str(v) for v in pool.column_values(column.name, items.tolist())])
            for column in pool.columns
            if column.role in SLICE_ROLES
        }


def _save(predictions: Predictions, path: Path) -> None:
    """As NPZ that `read_predictions` reads, with what the judge gave and nothing worked out from it.

    A column with a name that means something there is left out.
    """
    arrays: dict[str, Any] = {
        predictions.given: predictions.proba if predictions.given == "probs" else predictions.logits,
        "labels": predictions.targets,
        "classes": np.array(predictions.classes),
    }
    arrays |= {name: values for name, values in predictions.slices.items() if name not in _RESERVED}
    np.savez(path, **arrays)


def _shown_name(path: Path) -> str:
    return path.stem.removeprefix("outside-")
