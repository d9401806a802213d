"""What one must know to read the figures of an alignment report: said where the figures stand."""

from __future__ import annotations

from plumbline_backend.judges.report import AlignmentReport, CriterionReport, JudgeReport


def not_alignable(report: AlignmentReport) -> list[str]:
    """Criteria whose graders do not agree, or hardly: no judge can be aligned with such grades."""
    words = {
        "no": "no judge can match such grades",
        "doubtful": "a judge may not be able to match such grades",
    }
    return [
        f"{each.criterion.name}: {each.agreement.reason}, so {words[each.agreement.alignable]}."
        for each in (report.overall, *report.criteria)
        if each.agreement.alignable in words
    ]


def caveats(report: AlignmentReport) -> list[str]:
    """A sentence for each thing that makes a figure of a criterion or judge less than it seems."""
    found = []
    for each in (report.overall, *report.criteria):
        found += _of_criterion(each)
        found += [_drafted(judge) for judge in each.judges if judge.n_drafted]
    return found


def _of_criterion(report: CriterionReport) -> list[str]:
    name, limit = report.criterion.name, report.criterion.ffr_limit
    found = []
    if report.chosen_by == "least ffr" and limit is not None:
        found.append(
            f"{name}: no judge stays within {100 * limit:g} % false failures on the grades, so the one with the fewest "
            "stands for it."
        )
    if report.n_passed_over and any(judge.against == "criterion" for judge in report.judges):
        found.append(
            f"{name}: {report.n_passed_over:,} of the outputs that were drawn were passed over when it was graded. Its "
            "figures rest on outputs that you chose to grade, so their intervals may not hold: grade those as well."
        )
    return found


def _drafted(judge: JudgeReport) -> str:
    n = sum(judge.alignment.graded)
    return (
        f"{judge.judge.name} was drafted by a model that saw {judge.n_drafted:,} of the {n:,} graded outputs it is "
        "measured on, so its figures may be too good."
    )
