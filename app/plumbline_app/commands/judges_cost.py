"""What a run of LLM judges will cost, and the consent to it, before anything is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from plumbline_app.components.judge_run import cost_in_words, model_in_words
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.judges import llm_judge
from plumbline_backend.judges.llm.endpoint import endpoint_from

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject


def agree_on_cost(
    project: GradingProject, judges: Sequence[GradingJudge], again: bool, yes: bool, budget: float | None
) -> None:
    """Print the estimate of every LLM judge; go on only with consent: an option, or a yes at the terminal.

    Calls that are known to be free need none. Raises InputError where nobody can be asked, typer.Abort on a no.
    """
    asking = [judge for judge in judges if judge.kind == "llm"]
    if budget is not None:
        if asking and not endpoint_from(project.settings).prices_known:
            raise InputError(
                f"--budget: found {budget:g} USD, but the model's prices are not known; expected the settings "
                "llm_price_in and llm_price_out, or --yes within llm_budget_tokens"
            )
        llm_judge.set_budget(project, budget, llm_judge.budget_tokens(project))
    costs = False
    for judge in asking:
        wanted = project.unjudged(judge, again)
        criterion = project.criterion(judge.criterion_id)
        found = llm_judge.estimate(project, criterion, judge.spec, project.outputs(wanted))
        typer.echo(f"{judge.name}: {len(wanted):,} outputs: {cost_in_words(found)}", err=True)
        costs = costs or (found.calls > 0 and found.most_usd != 0)
    if not costs:
        return
    typer.echo(model_in_words(project)[1], err=True)
    if yes or budget is not None:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "models would be asked, and nobody is here to agree; expected --yes, or --budget USD with the most that "
            "the run of each LLM judge may cost"
        )
    typer.confirm("Ask them?", abort=True, err=True)
