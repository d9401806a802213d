"""model_card.md: what the classifier is, what it was made from, how good it is, and what it cannot do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from plumbline_backend.domain.types import Interval
from plumbline_backend.exporters.classifier.bundle import ClassifierBundle, Refusal

STRATA = {
    "stream": "uniform random stream (never trained on)",
    "model": "ranked by a model",
    "random": "random order",
    "browse": "picked by hand",
}


TRUSTED = {
    "operator.methodcaller": (
        " `operator.methodcaller` is there to lower-case A to Z and nothing else, as the model does."
    ),
    "sklearn.tree._tree.Tree": " `sklearn.tree._tree.Tree` is scikit-learn's own decision tree.",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": (
        " `TreePredictor` is scikit-learn's own boosted tree."
    ),
    "scipy.special._logsumexp.softmax": " `softmax` is SciPy's own function.",
    "scipy.special._logsumexp.logsumexp": " `logsumexp` is SciPy's own function.",
    "numpy.sort": " `numpy.sort` sorts the numbers of a row.",
}
"""Why the reader of estimator.skops is asked to trust a type."""


def model_card(
    bundle: ClassifierBundle,
    inputs: Sequence[tuple[str, str, str]],
    limits: Sequence[str],
    estimator_columns: Sequence[Mapping[str, Any]],
    trusted: Sequence[str],
    versions: Mapping[str, str],
) -> str:
    """The card as Markdown. Every text from outside is escaped: it is shown, never run."""
    sections = [
        _front_matter(bundle),
        _purpose(bundle),
        _data(bundle),
        _labels(bundle),
        _figures(bundle),
        _calibration(bundle),
        _limits(bundle, limits),
        _use(bundle, inputs, estimator_columns, trusted),
        _licence(),
        _versions(bundle, versions),
    ]
    return "\n\n".join(sections) + "\n"


def figure(value: Interval) -> str:
    """A figure with its interval and n, or "not known yet"."""
    if value.n == 0 or math.isnan(value.value):
        return "not known yet (n = 0)"
    if math.isnan(value.low) or math.isnan(value.high):
        return f"{value.value:.3f} (no interval, n = {value.n})"
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f}, n = {value.n})"


def plain(text: str) -> str:
    """Text as one line of Markdown that shows exactly its characters: no markup, no HTML, no block."""
    line = re.sub(r"\s+", " ", text).strip()
    line = re.sub(r"([\\`*_{}\[\]|~$&])", r"\\\1", line).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"^([#+=-])", r"\\\1", line)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of finished cells."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _front_matter(bundle: ClassifierBundle) -> str:
    return "\n".join(
        [
            "---",
            "license: other # choose one for your data and model; see Licence below",
            "library_name: onnx",
            "tags: [plumbline, classification, active-learning]",
            "---",
            "",
            f"# {plain(bundle.provenance.project)}: {plain(bundle.question)}",
        ]
    )


def _purpose(bundle: ClassifierBundle) -> str:
    guidelines = "\n".join(f"> {plain(line)}" for line in bundle.guidelines.splitlines() if line.strip())
    gives = (
        "It gives a class and a calibrated probability for every class."
        if bundle.link == "softmax"
        else "An item may have several of them or none: it gives a probability for each class by itself, and the "
        "classes of probability 0.5 or more."
    )
    text = (
        f"A classifier ({plain(bundle.head)}) with {len(bundle.classes)} classes that answers the question above for "
        f"one item. {gives}"
    )
    return text + (f"\n\nThe labellers worked by these guidelines:\n\n{guidelines}" if guidelines else "")


def _data(bundle: ClassifierBundle) -> str:
    made = bundle.provenance
    source = f" from {plain(made.source)}" if made.source else ""
    return "\n".join(
        [
            "## Data",
            "",
            f"- Pool: {made.n_items:,} items{source}",
            f"- SHA-256 of the pool's data files: `{made.data_hash}`",
            f"- Trained on {made.n_train:,} labelled items; measured on {made.n_stream:,} others",
            f"- Last judgement that the training saw: {made.ledger_id}; question version {bundle.question_version}",
        ]
    )


def _labels(bundle: ClassifierBundle) -> str:
    made = bundle.provenance
    rows = [
        [
            f"`{each.id}`",
            plain(each.name),
            f"{made.label_counts.get(each.id, 0):,}",
            plain(each.description),
        ]
        for each in bundle.classes
    ]
    rows += [
        [
            f"`{each.id}`",
            plain(each.name),
            f"{made.label_counts.get(each.id, 0):,}",
            plain(_parts(bundle, parts)),
        ]
        for each, parts in bundle.above
    ]
    asked = [[STRATA.get(name, plain(name)), f"{n:,}"] for name, n in made.asked.items()]
    states = ", ".join(f"{n:,} {plain(state)}" for state, n in made.n_by_state.items())
    parts = [
        "## Classes and labels",
        table(["id", "name", "training labels", "description"], rows),
        f"Items were asked by the strategy *{plain(made.strategy)}*, with {made.stream_share:.0%} of the asks "
        "drawn uniformly at random and kept apart from training.",
    ]
    if asked:
        parts.append(table(["how the labelled items were asked", "labels"], asked))
    if states:
        parts.append(f"Answers by state: {states}.")
    return "\n\n".join(parts)


def _parts(bundle: ClassifierBundle, parts: Sequence[int]) -> str:
    return "stands for " + ", ".join(bundle.classes[k].name for k in parts)


def _figures(bundle: ClassifierBundle) -> str:
    rows = [[plain(name[:1].upper() + name[1:]), figure(value)] for name, value in bundle.metrics.items()]
    text = (
        "Measured only on the uniform random stream, which the head was never trained on. In brackets the 95 % "
        "interval and the number of items."
    )
    parts = [
        "## Figures",
        text,
        table(["measure", "value"], rows) if rows else "Nothing has been measured yet.",
    ]
    if bundle.per_class:
        names = {each.id: each.name for each in (*bundle.classes, *(each for each, _ in bundle.above))}
        measures = list(dict.fromkeys(m for figures in bundle.per_class.values() for m in figures))
        lines = [
            [plain(names.get(class_id, class_id)), *(figure(f[m]) if m in f else "" for m in measures)]
            for class_id, f in bundle.per_class.items()
        ]
        parts.append(table(["class", *(plain(m) for m in measures)], lines))
    return "\n\n".join(parts)


def _calibration(bundle: ClassifierBundle) -> str:
    parts = [
        "## Calibration",
        f"Logits are divided by the temperature {bundle.temperature:.6g} before the {bundle.link}. "
        + plain(_sentence(bundle.calibration_note)),
    ]
    if bundle.reliability:
        rows = [[f"{each.confidence:.3f}", figure(each.accuracy)] for each in bundle.reliability]
        parts.append(table(["mean confidence", "accuracy"], rows))
    return "\n\n".join(part.strip() for part in parts)


def _limits(bundle: ClassifierBundle, limits: Sequence[str]) -> str:
    unseen = [each for each in bundle.classes if not bundle.provenance.label_counts.get(each.id)]
    general = [
        "The figures hold for items drawn like those of the pool; for other sources measure again.",
    ]
    if bundle.refusal is not None:
        general.append(_refusal(bundle.refusal))
    elif bundle.link == "softmax":
        general.append(
            "An item that belongs to none of the classes still gets one: there is no answer for 'none of these'."
            + (f" {plain(_sentence(bundle.refusal_note))}" if bundle.refusal_note else "")
        )
    if unseen:
        named = ", ".join(plain(each.name) for each in unseen)
        general.append(f"No training labels for: {named}. These classes are practically never predicted.")
    return "\n".join(["## Limits", "", *(f"- {line}" for line in (*general, *limits))])


def _refusal(refusal: Refusal) -> str:
    return (
        f"An item whose {plain(refusal.score)} ({plain(refusal.explanation)}) is above {refusal.threshold:.6g} is "
        f'"none of these". The threshold is set to keep {refusal.kept:.1%} of items of known classes, on n = '
        f"{refusal.n:,} random-stream items that the score was not fitted to; how many items of no class it misses has "
        f"to be measured on such items. {plain(_sentence(refusal.note))}".rstrip()
    )


def _use(
    bundle: ClassifierBundle,
    inputs: Sequence[tuple[str, str, str]],
    columns: Sequence[Mapping[str, Any]],
    trusted: Sequence[str],
) -> str:
    rows = [[code(name), kind, code(shape)] for name, kind, shape in inputs]
    order = ", ".join(
        code(each["column"]) + (f" ({each['places']} places)" if each["places"] > 1 else "")
        for each in columns
    )
    trust = f", trusted={list(trusted)!r}" if trusted else ""
    note = "".join(sentence for name, sentence in TRUSTED.items() if name in trusted)
    refuses = bundle.refusal is not None
    outputs = (
        " `none_of_these` bool [N] says which items belong to none of them (`class_id` is the likeliest all the same), "
        "`out_of_scope_score` float64 [N] is what is compared with the threshold."
    )
    refusing = (
        " **none\\_of\\_these.skops** reads the same rows: its `predict` is True for items of no class, its "
        "`decision_function` the score less the threshold."
    )
    return "\n\n".join(
        [
            "## Use",
            "`python predict.py INPUT.csv -o OUT.csv` (needs requirements.txt; also .tsv, .jsonl, .npz, .npy).",
            "**model.onnx** holds the whole path. Its inputs, one per raw column, for N items:",
            table(["column", "kind", "ONNX input"], rows),
            "Its outputs: `class_id` string [N], the likeliest class, and `probabilities` float32 [N, number of "
            "classes] in the order above." + (outputs if refuses else ""),
            f'**estimator.skops**: `skops.io.load("estimator.skops"{trust})` gives a scikit-learn Pipeline. Rows are '
            f"arrays or data frames with the raw values in this order: {order}. Missing numbers are NaN, missing "
            f"text is empty text.{note}{refusing if refuses else ''}",
            "**weights.safetensors**: `weight` and `bias` of the head's last step, `step.<i>.<name>` of the steps "
            "before it (named in the file's metadata), `temperature`, and the arrays of the transforms.",
        ]
    )


def code(text: str) -> str:
    """Text as a Markdown code span inside a table cell; backticks inside get a longer fence."""
    line = re.sub(r"\s+", " ", text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _licence() -> str:
    return (
        "## Licence\n\n"
        "To be chosen by whoever owns the data and the labels; until then nobody else has a right to use this "
        "model. State the licence and the source of the data here. predict.py is Plumbline's, Apache-2.0."
    )


def _versions(bundle: ClassifierBundle, versions: Mapping[str, str]) -> str:
    made = bundle.provenance
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        "## Made by\n\n"
        f"Plumbline {made.plumbline_version}, model version {made.model_version}, trained "
        f"{made.trained_at:%Y-%m-%d %H:%M} {made.trained_at.tzname() or ''}; {listed}."
    )


def _sentence(text: str) -> str:
    """The note as a sentence of its own; empty stays empty."""
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
