"""Labels needed for 90, 95 and 99 % of full-pool accuracy: random, margin, scikit-activeml, ours, ours with a pace.

    python benchmarks/label_efficiency.py [--seeds 10] [--only digits,breast_cancer]

Protocol: 70/30 split, 10 first labels (random, or the strategy's own where it needs no model), batches of 5, the same
splits for all; our softmax regression is the task model of all of them, its full-pool accuracy the reference. Seeds
that are finished are kept beside the result, so that a stopped run goes on; those of other code are run anew. River
and ../shared/data are skipped with the reason where they are not there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from common import RESULTS, environment, write
from plumbline_backend.settings import load_settings
from plumbline_backend.simulation.many import simulate
from plumbline_backend.simulation.one_run import SeedCurve
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.summary import SHARES, needed, result_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
KEPT = RESULTS / "label_efficiency"
PACED = f"default, {load_settings(environment={})['pace']} pace"
"""With the product's own policy, as the settings' table has it."""
BASELINES = (
    "margin",
    "entropy",
    "least_confident",
    "badge",
    "typiclust",
    "core_set",
    "qbc",
    "discriminative",
)
VARIANTS: dict[str, dict[str, Any]] = {
    "random": {"strategy": "random"},
    "margin": {"strategy": "margin", "first": "random"},
    **{f"skactiveml:{name}": {"strategy": f"skactiveml:{name}"} for name in BASELINES},
    "default": {"strategy": "typical_then_margin"},
    PACED: {"strategy": "typical_then_margin", "pace": load_settings(environment={})["pace"]},
}


def main() -> None:
    """Measure and write results/label_efficiency.json."""
    parser = argparse.ArgumentParser(description="Labels needed, against scikit-activeml")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="names of data sets, with commas")
    options = parser.parse_args()
    path = RESULTS / "label_efficiency.json"
    found: dict[str, Any] = json.loads(path.read_text())["data"] if path.exists() else {}
    for name, (make, limits) in DATA.items():
        if options.only and name not in options.only.split(","):
            continue
        with tempfile.TemporaryDirectory() as folder:
            data = make(Path(folder))
            if isinstance(data, dict):
                found[name] = data
            else:
                found[name] = measure(name, data, {"seeds": options.seeds, **limits}, options.processes)
        write(
            "label_efficiency",
            {
                "benchmark": "label_efficiency",
                **environment(["torch", "scikit-learn", "scikit-activeml", "river", "numpy"]),
                "protocol": __doc__.split("Protocol: ")[1].split(". ")[0] if __doc__ else "",
                "data": found,
            },
        )


def measure(name: str, data: str, limits: dict[str, Any], processes: int) -> dict[str, Any]:
    """Every variant on one data set, each compared with margin seed by seed."""
    KEPT.mkdir(parents=True, exist_ok=True)
    curves: dict[str, list[SeedCurve]] = {}
    rows: dict[str, Any] = {}
    chosen_variants = {v: c for v, c in VARIANTS.items() if v not in limits.get("not_run", ())}
    limits = {option: value for option, value in limits.items() if option != "not_run"}
    for variant, chosen in chosen_variants.items():
        setup = Setup(data, label="label" if data.endswith(".csv") else None, **{**limits, **chosen})
        kept = KEPT / f"{name}-{variant.replace(':', '_').replace(', ', '_').replace(' ', '_')}.jsonl"
        curves[variant] = simulate(setup, kept, processes)
        result = result_of(setup, curves[variant])
        rows[variant] = {
            "labels_needed": result["labels_needed"],
            "full_accuracy": result["full_accuracy"],
            "n_seeds": len(curves[variant]),
            "query_s_per_seed": float(np.median([c.query_s for c in curves[variant]])),
            **({"pseudo_labels": result["pseudo_labels"]} if "pseudo_labels" in result else {}),
        }
        print(name, variant, rows[variant], flush=True)
    for variant in chosen_variants:
        if variant != "margin":
            rows[variant]["against_margin"] = {
                str(p): paired(curves[variant], curves["margin"], p) for p in SHARES
            }
    return {"limits": limits, **rows}


def paired(ours: list[SeedCurve], theirs: list[SeedCurve], percent: int) -> dict[str, Any]:
    """Difference of labels needed, seed by seed, with Wilcoxon's signed-rank test (two-sided).

    A curve that never reaches the share counts as one label beyond its budget, so differences there are lower bounds.
    """
    pairs = []
    for a, b in zip(ours, theirs, strict=True):
        pairs.append([needed(curve, percent) or curve.labels[-1] + 1 for curve in (a, b)])
    difference = np.array([a - b for a, b in pairs], dtype=float)
    p = 1.0 if not difference.any() else float(wilcoxon(difference).pvalue)
    return {"median_difference": float(np.median(difference)), "p": p, "n": len(pairs)}


def river_set(name: str) -> Callable[[Path], str | dict[str, Any]]:
    """A data set inside the river package as an NPZ file."""

    def make(folder: Path) -> str | dict[str, Any]:
        try:
            from river import datasets
        except ImportError:
            return {"skipped": "river is not installed: pip install 'plumbline[bench]'"}
        rows = list(getattr(datasets, name)())
        x = np.array([[float(value) for value in features.values()] for features, _ in rows])
        np.savez(folder / f"{name}.npz", X=x, y=np.array([str(answer) for _, answer in rows]))
        return str(folder / f"{name}.npz")

    return make


def htru2(folder: Path) -> str | dict[str, Any]:
    """Pulsar candidates: eight columns and a label under a line of names."""
    source = SHARED / "htru2" / "HTRU_2.csv"
    if not source.exists():
        return {"skipped": f"{source.name} is not in ../shared/data"}
    rows = np.loadtxt(source, delimiter=",", skiprows=1)
    np.savez(folder / "htru2.npz", X=rows[:, :-1], y=rows[:, -1].astype(int))
    return str(folder / "htru2.npz")


def clinc150(folder: Path) -> str | dict[str, Any]:
    """15,000 short texts of 150 intents, with the features that an import gives them."""
    import csv

    source = SHARED / "clinc150" / "data_full.json"
    if not source.exists():
        return {"skipped": f"{source.name} is not in ../shared/data"}
    with (folder / "clinc150.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "label"])
        writer.writerows(json.loads(source.read_text(encoding="utf-8"))["train"])
    return str(folder / "clinc150.csv")


def demo(name: str) -> Callable[[Path], str | dict[str, Any]]:
    """A data set of scikit-learn."""
    return lambda _: name


SLOW = [PACED, *(f"skactiveml:{name}" for name in BASELINES if name != "margin")]
DATA: dict[str, tuple[Callable[[Path], str | dict[str, Any]], dict[str, Any]]] = {
    "breast_cancer": (demo("breast_cancer"), {"budget": 100}),
    "Phishing": (river_set("Phishing"), {"budget": 120}),
    "ImageSegments": (river_set("ImageSegments"), {"budget": 200}),
    "digits": (demo("digits"), {"budget": 300}),
    "htru2": (htru2, {"budget": 150}),
    "clinc150": (clinc150, {"budget": 6000, "start": 300, "batch": 300, "seeds": 3, "not_run": SLOW}),
}


if __name__ == "__main__":
    main()
