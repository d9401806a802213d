"""The tables of the Calibration page: figures side by side, calibrators, classes, slices, sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plumbline_app.components.charts_reliability import PREDICTED
from plumbline_app.components.figures import Tile
from plumbline_app.components.grid import GridColumn, grid_column, interval_cell
from plumbline_backend.domain.calibration_summary import MEANINGS
from plumbline_backend.trust.view import interval_of

View = Mapping[str, Any]
CALIBRATOR_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Calibrator", "name"),
    grid_column("Cross-validated NLL", "text", "On the items it is fitted to, in five folds; interval 95 %"),
    grid_column("Above the least", "text", "Difference to the least NLL, with its 95 % interval"),
    grid_column(
        "ECE", "text", "On the shown items; interval 95 %; null: what perfect calibration would give"
    ),
    grid_column("NLL", "text", "On the shown items; interval 95 %"),
    grid_column(
        "Changes predictions", "text", "Share of the shown items whose likeliest class is another one"
    ),
    grid_column("Learned", "text"),
)
COVERED = grid_column(
    "In the set", "interval", "Share of the class's items whose conformal set holds the class"
)
CLASS_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Class", "name"),
    grid_column("n", "number", "Shown items that have the class"),
    grid_column("ECE of the class", "text", "One against the rest; interval 95 %"),
    grid_column("Null", "text", "What perfect calibration would show by chance"),
)
SLICE_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Items where", "name"),
    grid_column("n", "number"),
    grid_column("Accuracy", "interval", "Share right, with its 95 % interval"),
    grid_column("Elsewhere", "interval", "Share right on all other shown items"),
    grid_column("Right minus confidence", "text", "Below 0: too sure of itself; interval 95 %"),
    grid_column("p, corrected", "text", "For all slices looked at (Holm); below 0.05 it is no accident"),
)
SLICE_FIGURE_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Figure", "name"),
    grid_column("These items", "text", "Value (95 % interval; null: what perfect calibration would show)"),
    grid_column("All shown items", "text", "The same figure of all of them"),
)
SET_COLUMNS: tuple[GridColumn, ...] = (
    grid_column("Rule", "name"),
    grid_column("Promised", "number"),
    grid_column("Coverage", "interval", "Share of items whose set holds the right class"),
    grid_column("Classes in a set", "text", "Mean size; interval 95 %"),
    grid_column("Empty", "interval", "Sets without any class"),
    grid_column("Worst class", "text", "The class covered least"),
)
SET_NAMES = {"lac": "LAC (least ambiguous)", "aps": "APS (adaptive)", "raps": "RAPS (regularised)"}


OF_LABELS = (
    "Every item and each of its classes counts as one in the diagrams, in the errors and in risk and coverage: the "
    "stated probability is that the item carries the class, and right means that it does."
)


def of_labels(view: View) -> bool:
    """Whether an item may have several classes."""
    return bool(view["kind"] == "labels")


def counted(view: View, items: str) -> str:
    """What one point of a diagram stands for, in words."""
    return f"classes of {items}" if of_labels(view) else items


def stated(view: View) -> str:
    """What the diagrams' confidence is."""
    return "stated probability that the item carries the class" if of_labels(view) else PREDICTED


def care(note: str) -> str:
    """What limits the figures, as a sentence."""
    return f"{note}." if note.startswith("n = ") else f"{note[0].upper()}{note[1:]}."


def headline(view: View) -> list[Tile]:
    """ECE, smooth ECE, NLL and accuracy of a judge as given."""
    before = view["before"]
    names = (("ECE", "ece"), ("Smooth ECE", "smooth_ece"), ("Log loss", "nll"), ("Accuracy", "accuracy"))
    return [
        Tile(
            label,
            _plain(before[key]["value"]),
            f"{_plain(before[key]['low'])} to {_plain(before[key]['high'])} (95 %)",
            f"n = {before[key]['n']:,}; perfect calibration would show {_plain(before[key]['null'])}",
        )
        for label, key in names
    ]


def verdict(view: View) -> str:
    """Whether the measured error says anything against the probabilities, in a sentence."""
    return verdict_of(view["before"]["ece"])


def verdict_of(ece: Mapping[str, Any]) -> str:
    """The same of one measured ECE."""
    if ece["value"] <= ece["null"]:
        return (
            f"The measured error, {_plain(ece['value'])}, is no larger than the {_plain(ece['null'])} that perfectly "
            f"calibrated probabilities would show with n = {ece['n']:,}."
        )
    if ece["low"] == 0:
        return (
            f"The measured error, {_plain(ece['value'])}, is above the {_plain(ece['null'])} of perfect calibration, "
            f"but its interval reaches 0: n = {ece['n']:,} cannot tell it from chance."
        )
    return (
        f"The measured error is {_plain(ece['value'])} where perfect calibration would show {_plain(ece['null'])} with "
        f"n = {ece['n']:,}: the probabilities cannot be taken at their word as they are."
    )


def figure_columns(views: Sequence[View]) -> list[GridColumn]:
    """A column for each judge, as given and after its chosen calibrator."""
    columns = [grid_column("Figure", "name"), grid_column("What it is", "text")]
    for view in views:
        columns.append(grid_column(f"{view['name']}, as given", "text"))
        if view["chosen"] in view["calibrators"]:
            columns.append(grid_column(f"{view['name']}, {view['chosen']}", "text"))
    return columns


def figure_rows(views: Sequence[View]) -> list[list[Any]]:
    """Every figure of every judge: value, interval, null; n stands in the column's group above."""
    rows = []
    for name, meaning in MEANINGS.items():
        cells = []
        for view in views:
            cells.append(_figure(view["before"][name]))
            if view["chosen"] in view["calibrators"]:
                cells.append(_figure(view["calibrators"][view["chosen"]][name]))
        rows.append([_words_of(name), meaning, *cells])
    return rows


def calibrator_rows(view: View) -> list[list[Any]]:
    """ "none" first, then every calibrator."""
    rows = []
    for name, compared in view["comparison"].items():
        measured = view["before"] if name == "none" else view["calibrators"][name]
        note = "" if name == "none" else measured["note"]
        learned = (
            "" if name == "none" else ", ".join(f"{k} {v:.4g}" for k, v in measured["parameters"].items())
        )
        changes = (
            "no"
            if name == "none" or not measured["changes_predictions"]
            else f"{100 * measured['changed']:.2f} %"
        )
        mark = " (chosen)" if name == view["chosen"] else ""
        rows.append(
            [
                name.replace("_", " ") + mark,
                _interval(compared["nll"]),
                _interval(compared["above_best"]),
                _figure(measured["ece"]),
                _interval(measured["nll"]),
                changes,
                f"{learned}. {note}" if note else learned,
            ]
        )
    return rows


def class_columns(state: View) -> tuple[GridColumn, ...]:
    """The last one only where there are sets."""
    return (*CLASS_COLUMNS, COVERED) if state["sets"] else CLASS_COLUMNS


def class_rows(view: View, state: View, rule: int = 1) -> list[list[Any]]:
    """A row per class under `class_columns`; rule: which of the sets' rules the coverage is of."""
    sets = state["sets"]
    rows = []
    for k, (name, (n, value, low, high, null, _)) in enumerate(
        zip(view["classes"], state["classes"], strict=False)
    ):
        covered = [interval_cell(interval_of(sets[rule]["by_class"][k]))] if sets else []
        spread = f"{_plain(value)} ({_plain(low)} to {_plain(high)})"
        rows.append([name, f"{n:,}", spread, _plain(null), *covered])
    return rows


def slice_rows(state: View) -> list[list[Any]]:
    """The slices from the least corrected p-value on."""
    return [
        [
            each["name"],
            f"{each['accuracy'][3]:,}",
            interval_cell(interval_of(each["accuracy"])),
            interval_cell(interval_of(each["elsewhere"])),
            f"{each['gap'][0]:+.3f} ({each['gap'][1]:+.3f} to {each['gap'][2]:+.3f})",
            f"{each['p_value']:.2g}" + (" – worse than chance allows" if each["found"] else ""),
        ]
        for each in state["slices"]
    ]


def figures_of(view: View, state: str) -> Mapping[str, Any]:
    """The figures of all shown items in a state of the judge."""
    found: Mapping[str, Any] = view["calibrators"].get(state, view["before"])
    return found


def slice_figure_rows(chosen: Mapping[str, Any], everything: Mapping[str, Any]) -> list[list[Any]]:
    """Every figure of some items beside that of all."""
    return [[_words_of(name), _figure(chosen[name]), _figure(everything[name])] for name in MEANINGS]


def set_rows(view: View, state: View) -> list[list[Any]]:
    """A row per rule of the conformal sets."""
    rows = []
    for each in state["sets"]:
        size, worst = each["size"], each["worst"]
        covered = each["by_class"][worst] if 0 <= worst < len(each["by_class"]) else None
        words = (
            "–"
            if covered is None
            else f"{view['classes'][worst]}: {100 * (covered[0] or 0):.0f} % of n = {covered[3]}"
        )
        rows.append(
            [
                SET_NAMES[each["rule"]],
                f"{100 * each['promised']:.0f} %",
                interval_cell(interval_of(each["coverage"])),
                f"{size[0]:.2f} ({size[1]:.2f} to {size[2]:.2f})",
                interval_cell(interval_of(each["empty"])),
                words + (" (n too small: every class is in every set)" if each["everything"] else ""),
            ]
        )
    return rows


def _figure(figure: Mapping[str, Any]) -> str:
    null = "" if figure["null"] is None else f"; null {_plain(figure['null'])}"
    return f"{_plain(figure['value'])} ({_plain(figure['low'])} to {_plain(figure['high'])}{null})"


def _interval(figure: Mapping[str, Any]) -> str:
    return f"{_plain(figure['value'])} ({_plain(figure['low'])} to {_plain(figure['high'])})"


def _words_of(name: str) -> str:
    """The name of a figure as people write it."""
    short = {"ece": "ECE", "nll": "NLL", "aurc": "AURC", "corp": "CORP"}
    words = [short.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
