"""The chosen judges together: the figures that a newcomer reads first, and what would make them surer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.alignment_caveats import not_alignable
from plumbline_app.components.controls import button, choice, text_field, typed
from plumbline_app.components.estimates import share_in_words, share_tile
from plumbline_app.components.figures import html_pane, tiles
from plumbline_app.components.layout import card, fill, line, place, stack
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.judges.report import METHODS, AlignmentReport

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

WIDTHS = {"±5 points": 0.1, "±10 points": 0.2, "±15 points": 0.3, "±20 points": 0.4}


class SetView(Viewer):
    """Coverage, false failures and alignment of the chosen set, with the number of grades still needed."""

    def __init__(self, width: float, on_width: Callable[[float], None]) -> None:
        super().__init__()
        self._figures = html_pane()
        self._warned = place()
        self._method = sentence("")
        self._more = sentence("")
        names = {value: name for name, value in WIDTHS.items()}
        self._width = choice("Interval wanted", WIDTHS, width if width in names else 0.2, width=180)
        self._width.param.watch(lambda event: on_width(event.new), "value")

    def __panel__(self) -> Viewable:
        return stack(
            self._figures,
            self._warned,
            self._method,
            line(self._width, self._more, **{"flex-wrap": "nowrap"}),
            gap=12,
        )

    def show(self, report: AlignmentReport) -> None:
        """The figures of this report."""
        found = report.chosen.alignment
        self._figures.object = tiles(
            [
                share_tile(
                    "Coverage", found.coverage, "no bad output graded yet", "of the bad outputs are failed"
                ),
                share_tile(
                    "False failures", found.ffr, "no good output graded yet", "of the good outputs are failed"
                ),
                share_tile(
                    "Alignment",
                    found.alignment,
                    "needs good and bad grades",
                    "harmonic mean of coverage and good outputs passed",
                ),
                share_tile(
                    "Good outputs",
                    found.pass_rate,
                    "nothing graded yet",
                    f"of all {report.n_outputs:,}, corrected by your grades",
                ),
            ]
        )
        told = "\n".join(not_alignable(report))
        fill(self._warned, *([notice("Not alignable", told, tone="warn")] if told else []))
        self._method.object = sentence(_basis(report)).object
        self._more.object = sentence(_grades_needed(report, self._width.value)).object


class SetChooser(Viewer):
    """Finds the fewest judges that meet both limits, or says why there is no such set; takes a set into use.

    on_change is called after other judges came into use.
    """

    def __init__(self, project: GradingProject, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._project = project
        self._on_change = on_change
        self._in_use = place()
        self._coverage = text_field("Coverage at least, %", "80", width=180)
        self._ffr = text_field("False failures at most, %", "20", width=200)
        self._found = place()

    def __panel__(self) -> Viewable:
        return card(
            "The smallest set of judges",
            "Fewest judges, and cheapest among equals, that meet both limits on the graded outputs.",
            self._in_use,
            line(self._coverage, self._ffr, button("Find it", self._find)),
            self._found,
        )

    def show(self, report: AlignmentReport) -> None:
        """Which set is in use, if one is."""
        found = report.chosen.adopted
        if found is None:
            fill(self._in_use)
            return
        names = ", ".join(judge.name for judge in found.judges)
        limits = (
            f"coverage of {100 * found.min_coverage:g} % and at most {100 * found.max_ffr:g} % false failures"
        )
        fill(
            self._in_use,
            notice("In use instead of one judge for each criterion", f"{names}: found for a {limits}."),
            line(
                button("Back to one judge for each criterion", lambda: self._change(self._project.drop_set))
            ),
        )

    def _change(self, change: Callable[[], object]) -> None:
        try:
            change()
        except PlumblineError as error:
            fill(self._found, notice("Not changed", str(error), tone="bad"))
            return
        fill(self._found)
        self._on_change()

    def _find(self) -> None:
        try:
            limits = _share("coverage", typed(self._coverage)), _share("false failures", typed(self._ffr))
            found = self._project.choose_set(*limits)
        except PlumblineError as error:
            fill(self._found, notice("Not found", str(error), tone="bad"))
            return
        names = {judge.id: judge.name for judge in self._project.judges()}
        implied = "".join(
            f"\n{names[a]} fails everything that {names[b]} fails." for a, b in found.subsumes[:6]
        )
        if not found.feasible:
            fill(
                self._found,
                notice(
                    "There is no such set",
                    f"{found.reason[0].upper()}{found.reason[1:]}.{implied}",
                    tone="warn",
                ),
            )
            return
        chosen = ", ".join(names[judge_id] for judge_id in found.ids) or "no judge at all"
        counted = (
            f"On the graded outputs, as counted: coverage {100 * (found.coverage or 0):.0f} %, false failures "
            f"{100 * (found.ffr or 0):.0f} %. These counts chose the set, so they flatter it."
        )
        use = button("Use this set", lambda: self._change(lambda: self._project.adopt_set(*limits)))
        parts = [line(use)] if found.ids else []
        fill(self._found, notice(chosen, counted + implied, tone="good"), *parts)


def _basis(report: AlignmentReport) -> str:
    n_judges = len(report.chosen.judges)
    if n_judges == 0:
        return "There is no judge yet: add some on the Judges page."
    judges = _judges_in_words(n_judges, report.chosen.adopted is not None)
    parts = [f"{judges}. {METHODS[report.chosen.method][0].upper()}{METHODS[report.chosen.method][1:]}."]
    if report.chosen.n_in_sight:
        parts.append(f"{report.chosen.n_in_sight:,} outputs were graded by then.")
    if report.chosen.corrected is not None:
        apparent = share_in_words(report.chosen.apparent.alignment)
        parts.append(f"On the grades that chose them the alignment would look like {apparent}.")
    parts.append(
        f"Graded: {report.n_graded:,} of {report.n_outputs:,} outputs, {report.n_good:,} good and {report.n_bad:,} bad."
    )
    if report.n_by_hand:
        parts.append(
            f"{report.n_by_hand:,} grades of outputs chosen by hand are left out: they were not drawn."
        )
    if report.from_file:
        parts.append(f"{report.from_file:,} grades came with the file and are taken as a random sample.")
    if report.chosen.not_run:
        names = {j.judge.id: j.judge.name for c in (report.overall, *report.criteria) for j in c.judges}
        idle = ", ".join(names[judge_id] for judge_id in report.chosen.not_run)
        parts.append(f"Left out until it is run: {idle}.")
    if report.chosen.n_undecided:
        parts.append(
            f"{report.chosen.n_undecided:,} outputs that not all of them have judged (errors, not run) are left out."
        )
    return " ".join(parts)


def _judges_in_words(n: int, adopted: bool) -> str:
    what = "1 chosen judge" if n == 1 else f"{n} chosen judges together"
    if adopted:
        what = f"The smallest set: {n} {'judge' if n == 1 else 'judges together'}"
    return what if n == 1 else f"{what}: an output fails when any of them fails it"


def _grades_needed(report: AlignmentReport, width: float) -> str:
    """width: of the interval that is wanted. The number is of the interval without the doubt about the choice."""
    more, shown = report.chosen.more_grades, report.chosen.alignment.alignment
    if not report.chosen.judges:
        return ""
    if more is None:
        return "The outputs that there are cannot make the interval so narrow, or nothing is known yet."
    if more == 0 and shown.low is not None and shown.high is not None and shown.high - shown.low > width:
        return (
            "It is wider than that only by the doubt about the choice of judges; more grades lessen it, by how much is "
            "not known."
        )
    if more == 0:
        return "The alignment's interval is as narrow as that already."
    return f"About {more:,} more grades until the alignment's interval is as narrow as that."


def _share(name: str, text: str) -> float:
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError as error:
        raise InputError(f"{name}: found {text!r}; expected a percentage from 0 to 100") from error
