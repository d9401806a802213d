"""Measuring judges in a worker, and keeping what was measured and chosen: what every kind of project shares."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.domain.calibration_scores import bayes_threshold
from plumbline_backend.domain.calibration_summary import Summary
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.trust.chosen_slice import slice_summary
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.predictions import Predictions, in_order_of
from plumbline_backend.trust.thresholds import Decided, decided

MIN_ITEMS = 20
"""Below this nothing is fitted or shown: ten items on either side say nothing about a rate."""
SPLITS = {
    "a random half": "random:0",
    "the first half": "half",
    "30 % to fit, 70 % to show": "0.3",
}
"""Ways to part the items, in words and as `split_rows` takes them."""
SET = "set="
"""Before the key of a judge on whose items calibrators are fitted, in place of a way to part the shown items."""
_RESERVED = frozenset({"logits", "probs", "labels", "classes", "file", "allow_pickle"})
_COUNTS = "outside.json"


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


class MeasuredJudges(ABC):
    """The judges of one project that state probabilities. A kind of project says which, and what they stated."""

    def __init__(self, project_id: int, seed: int, folder: Path, jobs: Jobs) -> None:
        self._project_id, self._seed, self._jobs = project_id, seed, jobs
        self.folder = folder
        self._outside_lock = threading.Lock()

    @abstractmethod
    def judges(self) -> list[JudgeChoice]:
        """Everything that can be measured, with the number of items that people answered too."""

    @abstractmethod
    def predictions(self, key: str) -> Predictions:
        """The probabilities of a judge on the items that people answered. Raises NotFoundError."""

    @abstractmethod
    def _settings(self) -> Mapping[str, Any]:
        """The project's settings."""

    @abstractmethod
    def _set(self, name: str, value: Any) -> None:
        """Keep one setting of the project."""

    def add_outside(self, path: Path, name: str) -> JudgeChoice:
        """Keep a file of outside predictions in the project, beside any other of that name: nothing is overwritten.

        The same file again changes nothing. Raises InputError when it cannot be read as predictions.
        """
        predictions = read_predictions(path)
        clean = re.sub(r"[^\w.\- ]", "_", Path(name).stem).strip()[:60] or "predictions"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._outside_lock:
            kept = self._place_of(path, clean)
            if not kept.exists():
                shutil.copyfile(path, kept)
            self._keep_counts({**self._counts(), kept.name: predictions.n})
        return JudgeChoice(kept.name, _shown_name(kept), predictions.n)

    def start(self, keys: Sequence[str], split: str, calibrators: Sequence[str] | None = None) -> Job:
        """Measure these judges in the background; the job's result names the file that `measured` reads.

        split: as `split_rows` takes it, or "set=KEY": fit on all items of that judge and show all of these.
        Raises InputError without a judge, where one has fewer than 20 items, and on a set that cannot be fitted on.
        """
        if not keys:
            raise InputError("judges: found none; expected at least one to measure")
        names = {choice.key: choice.name for choice in self.judges()}
        folder = self.folder / "runs" / uuid.uuid4().hex
        kept: list[tuple[str, Predictions]] = [(key, self._enough(key, names)) for key in keys]
        fit = self._fitting_set(split, kept, names)
        folder.mkdir(parents=True)
        judges = [
            {"key": key, "name": names.get(key, key), "file": _saved(predictions, folder / f"judge-{i}.npz")}
            for i, (key, predictions) in enumerate(kept)
        ]
        spec = {
            "judges": judges,
            "split": split,
            "fit": None if fit is None else {"name": fit[0], "file": _saved(fit[1], folder / "fit.npz")},
            "calibrators": None if calibrators is None else list(calibrators),
            "seed": self._seed,
            "out": str(folder / "measured.json"),
        }
        return self._jobs.start(
            "calibration",
            self._project_id,
            Work("calibration", spec),
            lambda *_: self._keep_newest(folder),
            f"calibration-{self._project_id % 2}",
            {"split": split},
        )

    def _enough(self, key: str, names: Mapping[str, str]) -> Predictions:
        predictions = self.predictions(key)
        if predictions.n < MIN_ITEMS:
            raise InputError(
                f"{names.get(key, key)}: n = {predictions.n} items with people's answers is too small; "
                f"expected at least {MIN_ITEMS}"
            )
        return predictions

    def _fitting_set(
        self, split: str, shown: Sequence[tuple[str, Predictions]], names: Mapping[str, str]
    ) -> tuple[str, Predictions] | None:
        """The name and items of the set that `split` names; None where the shown items are parted.

        Raises InputError where it is one of the shown sets or rests on their items, and on other classes.
        """
        if not split.startswith(SET):
            return None
        key = split.removeprefix(SET)
        name, outside = names.get(key, key), {path.name for path in self._outside_files()}
        found = self._enough(key, names)
        for other, predictions in shown:
            if other == key or not {other, key} & outside:
                raise InputError(
                    f"fitted on: found {name}, whose items {names.get(other, other)} is shown on too; expected a file "
                    "of other items, or a way to part the items"
                )
            in_order_of(found, predictions)
        return name, found

    def measured(self) -> list[dict[str, Any]]:
        """What the page draws of each judge of the newest finished run, and its folder; empty before the first."""
        runs = sorted((self.folder / "runs").glob("*/measured.json"), key=lambda path: path.stat().st_mtime)
        if not runs:
            return []
        judges: list[dict[str, Any]] = json.loads(runs[-1].read_text(encoding="utf-8"))["judges"]
        return [{**each, "folder": str(runs[-1].parent)} for each in judges]

    def decided(self, view: Mapping[str, Any], state: str, chosen: OperatingChoice) -> Decided:
        """What this threshold would have cost on the shown items of a judge in one state. Raises as `decided`."""
        return decided(view, state, chosen.label_class, chosen.threshold, chosen.cost_fp, chosen.cost_fn)

    def slice_summary(self, view: Mapping[str, Any], state: str, column: str, words: str) -> Summary:
        """All figures of one part of the shown items. Raises as `chosen_slice.slice_summary`."""
        return slice_summary(view, state, column, words)

    def operating_point(self, key: str) -> OperatingChoice | None:
        """The threshold that was chosen for this judge; None before."""
        kept = self._settings().get("operating_points", {}).get(key)
        return None if kept is None else OperatingChoice(**kept)

    def choose_operating_point(self, key: str, chosen: OperatingChoice) -> None:
        """Keep a threshold for this judge, with the class and the costs it was chosen for.

        Raises InputError on costs that are not positive and a threshold outside [0, 1].
        """
        bayes_threshold(chosen.cost_fp, chosen.cost_fn)
        if not 0 <= chosen.threshold <= 1:
            raise InputError(f"threshold: found {chosen.threshold}; expected a number from 0 to 1")
        others = dict(self._settings().get("operating_points", {}))
        self._set("operating_points", {**others, key: asdict(chosen)})

    def _outside(self) -> list[JudgeChoice]:
        """The files that were brought; each is read once, and how many items it holds is kept beside it."""
        files = self._outside_files()
        with self._outside_lock:
            counts = self._counts()
            missing = {path.name: read_predictions(path).n for path in files if path.name not in counts}
            if missing:
                counts = {**counts, **missing}
                self._keep_counts(counts)
        return [JudgeChoice(path.name, _shown_name(path), counts[path.name]) for path in files]

    def _outside_files(self) -> list[Path]:
        return sorted(self.folder.glob("outside-*.*"))

    def _place_of(self, path: Path, name: str) -> Path:
        """Where the file goes: where the same content lies under this name already, else under a free one."""
        stems = {each.stem for each in self._outside_files()}
        for stem in _numbered(f"outside-{name}"):
            kept = self.folder / f"{stem}{path.suffix.lower()}"
            if stem not in stems or (kept.exists() and filecmp.cmp(path, kept, shallow=False)):
                return kept
        raise AssertionError("there is always another number")

    def _counts(self) -> dict[str, int]:
        file = self.folder / _COUNTS
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    def _keep_counts(self, counts: Mapping[str, int]) -> None:
        half_done = self.folder / f"{_COUNTS}.half"
        half_done.write_text(json.dumps(counts), encoding="utf-8")
        half_done.rename(self.folder / _COUNTS)

    def _keep_newest(self, folder: Path) -> None:
        for other in (self.folder / "runs").iterdir():
            if other != folder and (other / "measured.json").exists():
                shutil.rmtree(other)


def _saved(predictions: Predictions, path: Path) -> str:
    """As NPZ that `read_predictions` reads, with what the judge gave and nothing worked out from it; the path.

    A column with a name that means something there is left out.
    """
    arrays: dict[str, Any] = {
        predictions.given: predictions.proba if predictions.given == "probs" else predictions.logits,
        "labels": predictions.targets,
        "classes": np.array(predictions.classes),
    }
    arrays |= {name: values for name, values in predictions.slices.items() if name not in _RESERVED}
    np.savez(path, **arrays)
    return str(path)


def _shown_name(path: Path) -> str:
    return path.stem.removeprefix("outside-")


def _numbered(name: str) -> Iterator[str]:
    """name, "name (2)", "name (3)", ..."""
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1
