"""Pools of outputs with known truth and many judges: real ones with human verdicts, and synthetic ones."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parents[1].parent / "shared" / "data"


class JudgedPool(NamedTuple):
    """bad: (n_outputs,) the truth. failed: (n_judges, n_outputs) what each judge fails."""

    name: str
    bad: NDArray[np.bool_]
    failed: NDArray[np.bool_]


def real_pools() -> list[JudgedPool]:
    """TofuEval's summaries with surface validators, and rated recipes with validators and other criteria as judges."""
    return [pool for load in (_tofueval, _recipes) if (pool := load()) is not None]


def synthetic(rng: np.random.Generator, n_outputs: int, n_judges: int, alike: float) -> JudgedPool:
    """15 to 60 % bad outputs; judges of random quality whose errors correlate by `alike`."""
    while True:
        bad = rng.random(n_outputs) < rng.uniform(0.15, 0.6)
        catches, spoils = rng.beta(2, 2, n_judges), rng.beta(1.2, 4, n_judges)
        shared = rng.normal(size=n_outputs)
        noise = np.sqrt(1 - alike**2) * rng.normal(size=(n_judges, n_outputs))
        uniform = _normal_cdf(alike * shared + noise)
        failed = np.where(bad, uniform < catches[:, None], uniform < spoils[:, None])
        usable = failed.any(axis=1) & ~failed.all(axis=1)
        if bad.any() and not bad.all() and usable.sum() > 1:
            name = f"synthetic, {n_outputs} outputs, {n_judges} judges, alike {alike:g}"
            return JudgedPool(name, bad, failed[usable])


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    x = np.abs(z) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    upper = 0.5 * poly * np.exp(-(x**2))
    return np.where(z >= 0, 1 - upper, upper)


def _tofueval() -> JudgedPool | None:
    """A summary is bad when an expert found one of its sentences unsupported."""
    folder = DATA / "tofueval_meetingbank"
    if not folder.exists():
        return None
    texts: dict[tuple[str, ...], list[str]] = defaultdict(list)
    bad: dict[tuple[str, ...], bool] = defaultdict(bool)
    for part in ("dev", "test"):
        with (folder / f"meetingbank_factual_eval_{part}.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                key = (part, row["doc_id"], row["annotation_id"], row["topic"], row["model_name"])
                texts[key].append(row["summ_sent"])
                bad[key] |= row["sent_label"].strip().lower() == "no"
    keys = sorted(texts)
    joined = [" ".join(texts[key]) for key in keys]
    failed = _validators(joined)
    models = sorted({key[4] for key in keys})
    by_model = np.array([[key[4] == model for key in keys] for model in models])
    return JudgedPool(
        "tofueval_meetingbank", np.array([bad[key] for key in keys]), np.vstack([failed, by_model])
    )


def _recipes() -> JudgedPool | None:
    """A recipe is bad when its mean overall rating is below 3.5 of 6; ratings of other criteria are judges too."""
    folder = DATA / "recipes"
    if not folder.exists():
        return None
    ratings: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "cleaned_data_anonymized.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            for criterion in ("grammar", "fluency", "verbosity", "structure", "success", "overall"):
                ratings[row["recipeid"], row["condition"]][criterion].append(float(row[criterion]))
    keys = sorted(ratings)
    mean = {c: np.array([np.mean(ratings[key][c]) for key in keys]) for c in ratings[keys[0]]}
    first = {c: np.array([ratings[key][c][0] for key in keys]) for c in ratings[keys[0]]}
    judges = [mean[c] < limit for c in mean if c != "overall" for limit in (3, 3.5, 4, 4.5)]
    judges += [first[c] < limit for c in first for limit in (3, 4, 5)]
    failed = np.array([j for j in judges if j.any() and not j.all()])
    return JudgedPool("recipes", mean["overall"] < 3.5, failed)


def _validators(texts: list[str]) -> NDArray[np.bool_]:
    """(n_judges, n_texts): thresholds on what can be counted in a text, such as words, numbers and names."""
    measures: list[Callable[[str], float]] = [
        lambda t: len(t.split()),
        lambda t: len(re.findall(r"\d+", t)),
        lambda t: len(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", t)),
        lambda t: len(re.findall(r"[.!?](?:\s|$)", t)),
        lambda t: len(t) / max(1, len(t.split())),
        lambda t: len(set(t.lower().split())) / max(1, len(t.split())),
        lambda t: len(re.findall(r"\b(?:all|every|any|never|always|will|must|only)\b", t.lower())),
    ]
    rows = []
    for measure in measures:
        values = np.array([measure(text) for text in texts], dtype=float)
        for share in (0.3, 0.5, 0.7, 0.85):
            rows.append(values > np.quantile(values, share))
    return np.array([row for row in rows if row.any() and not row.all()])
